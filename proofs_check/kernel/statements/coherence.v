(* How far |hV|^2 is from |h|^2. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Kernel Require Import vocabulary.
Set Implicit Arguments.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* The square norm of hV is the sum of all products of coefficients with the inner products of their rows. *)
Definition gram_expansion := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R),
  square (combine h V) = \sum_i \sum_j h i * h j * dot (V i) (V j).

(* For unit rows what |hV|^2 has beyond |h|^2 is the interference. *)
Definition interference_identity := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R),
  unit_rows V -> square (combine h V) - square h = interference h V.

(* Cauchy and Schwarz. *)
Definition cauchy_schwarz := forall (R : realFieldType) d (x y : 'I_d -> R),
  dot x y ^+ 2 <= square x * square y.

(* A code of at most k nonzeros has |h|_1^2 at most k |h|^2. *)
Definition sparse_l1 := forall (R : realFieldType) k n (h : 'I_n -> R),
  sparse k h -> l1 h ^+ 2 <= k%:R * square h.

(* Interference is at most mu (|h|_1^2 - |h|^2). *)
Definition l1_form := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu,
  coherent_on h V mu -> `|interference h V| <= mu * (l1 h ^+ 2 - square h).

(* Interference of a k-sparse code is at most mu (k - 1) |h|^2. *)
Definition count_form := forall (R : realFieldType) k n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu,
  0 <= mu -> coherent_on h V mu -> sparse k h -> `|interference h V| <= mu * (k%:R - 1) * square h.

(* Codes of no negative entry: products in [a, b] on the support put interference into [a, b] (|h|_1^2 - |h|^2). *)
Definition signed_form := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) a b,
  (forall i, 0 <= h i) ->
  (forall i j, i != j -> h i != 0 -> h j != 0 -> a <= dot (V i) (V j) <= b) ->
  a * (l1 h ^+ 2 - square h) <= interference h V <= b * (l1 h ^+ 2 - square h).

(* Row sums of |<v_i, v_j>| over the support, at most B, bound interference by B |h|^2. *)
Definition babel_form := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) B,
  (forall i, h i != 0 -> \sum_(j | (j != i) && (h j != 0)) `|dot (V i) (V j)| <= B) ->
  `|interference h V| <= B * square h.

(* Such a row sum is at most mu (k - 1). *)
Definition babel_at_most := forall (R : realFieldType) k n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu i,
  0 <= mu -> coherent_on h V mu -> sparse k h -> h i != 0 ->
  \sum_(j | (j != i) && (h j != 0)) `|dot (V i) (V j)| <= mu * (k%:R - 1).

(* Where all products on the support are mu and no entry is negative, the l1 form is attained. *)
Definition cone_attains := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu,
  (forall i, 0 <= h i) -> (forall i j, i != j -> h i != 0 -> h j != 0 -> dot (V i) (V j) = mu) ->
  interference h V = mu * (l1 h ^+ 2 - square h).

(* A code of k equal nonzeros has |h|_1^2 = k |h|^2, so that a cone attains mu (k - 1) |h|^2 too. *)
Definition flat_l1 := forall (R : realFieldType) n (h : 'I_n -> R) t,
  (forall i, h i != 0 -> h i = t) -> l1 h ^+ 2 = (count h)%:R * square h.

(* The theorem of AFA: with c = eps (n - 1), |hV|^2 / (1 + c) is at most |h|^2, and that at most |hV|^2 / (1 - c). *)
Definition paper_bound := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) eps,
  unit_rows V -> 0 <= eps -> coherent V eps -> (0 < n)%N ->
  let c := eps * (n%:R - 1) in
  square (combine h V) / (1 + c) <= square h /\ (c < 1 -> square h <= square (combine h V) / (1 - c)).

(* Norms bound the coherence from below: ||x|^2 - |h|^2| / (|h|_1^2 - |h|^2) <= mu. *)
Definition lower_bound := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu,
  unit_rows V -> coherent_on h V mu -> 0 < l1 h ^+ 2 - square h ->
  `|square (combine h V) - square h| / (l1 h ^+ 2 - square h) <= mu.

(* With what is left over, rho: |x|^2 - |f|^2 is interference, |rho|^2 and twice <x_hat, rho>. *)
Definition residual_identity := forall (R : realFieldType) n d (f : 'I_n -> R) (V : 'I_n -> 'I_d -> R) (rho : 'I_d -> R),
  unit_rows V ->
  square (fun c => combine f V c + rho c) - square f
  = interference f V + square rho + 2%:R * dot (combine f V) rho.

(* So it is at most mu (|f|_1^2 - |f|^2) + ||x|^2 - |x_hat|^2|. *)
Definition residual_gap := forall (R : realFieldType) n d (f : 'I_n -> R) (V : 'I_n -> 'I_d -> R) (x : 'I_d -> R) mu,
  unit_rows V -> coherent_on f V mu ->
  `|square x - square f| <= mu * (l1 f ^+ 2 - square f) + `|square x - square (combine f V)|.

(* Two codes: <hV, gV> differs from <h, g> by at most mu (|h|_1 |g|_1 - sum |h_i g_i|). *)
Definition two_codes := forall (R : realFieldType) n d (h g : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu,
  unit_rows V -> coherent V mu ->
  `|dot (combine h V) (combine g V) - dot h g| <= mu * (l1 h * l1 g - \sum_i `|h i * g i|).

(* The squares of all inner products of rows sum to those of all products of columns. *)
Definition frame_potential := forall (R : realFieldType) n d (V : 'I_n -> 'I_d -> R),
  \sum_i \sum_j dot (V i) (V j) ^+ 2 = \sum_a \sum_b (\sum_i V i a * V i b) ^+ 2.

(* Their sum is at least the square of the summed square norms over d. *)
Definition welch_sum := forall (R : realFieldType) n d (V : 'I_n -> 'I_d -> R),
  (\sum_i square (V i)) ^+ 2 <= d%:R * \sum_i \sum_j dot (V i) (V j) ^+ 2.

(* Over pairs of unit rows the squares sum to n (n - d) / d at least. *)
Definition welch_pairs := forall (R : realFieldType) n d (V : 'I_n -> 'I_d -> R),
  unit_rows V -> n%:R * (n%:R - d%:R) <= d%:R * \sum_i \sum_(j | j != i) dot (V i) (V j) ^+ 2.

(* Welch: n unit rows in d dimensions have mu^2 at least (n - d) / (d (n - 1)). *)
Definition welch := forall (R : realFieldType) n d (V : 'I_n -> 'I_d -> R) mu,
  unit_rows V -> coherent V mu -> (0 < n)%N -> n%:R - d%:R <= d%:R * (n%:R - 1) * mu ^+ 2.

(* So with more rows than dimensions eps (n - 1) is at least 1: the upper side of AFA never holds. *)
Definition superposition := forall (R : realFieldType) n d (V : 'I_n -> 'I_d -> R) eps,
  unit_rows V -> coherent V eps -> (0 < d < n)%N -> 1 <= eps * (n%:R - 1).

(* Below (2k - 1) mu < 1 a point has one k-sparse code at most. *)
Definition one_sparse_code := forall (R : realFieldType) k n d (f g : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu,
  unit_rows V -> coherent V mu -> 0 <= mu -> ((2 * k)%:R - 1) * mu < 1 ->
  sparse k f -> sparse k g -> (forall c, combine f V c = combine g V c) -> forall i, f i = g i.

(* Under restricted isometry of order 2k two k-sparse codes within e of one point are within 2e / sqrt(1 - delta). *)
Definition isometry_codes := forall (R : realFieldType) k n d (f g : 'I_n -> R) (V : 'I_n -> 'I_d -> R) x delta e2,
  restricted_isometry (2 * k)%N V delta -> sparse k f -> sparse k g ->
  square (minus x (combine f V)) <= e2 -> square (minus x (combine g V)) <= e2 ->
  (1 - delta) * square (minus f g) <= 4%:R * e2.
