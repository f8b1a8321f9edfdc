(* Steps of greedy pursuit. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Kernel Require Import vocabulary.
Set Implicit Arguments.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* A step along w with increment a = <w, r> leaves |r|^2 - a^2 (2 - |w|^2). *)
Definition energy_after := forall (R : realFieldType) d (r w : 'I_d -> R),
  square (fun c => r c - dot w r * w c) = square r - dot w r ^+ 2 * (2%:R - square w).

(* After a step along w the product with any v is <v, r> - a <v, w>; with a unit w itself it is 0. *)
Definition product_after := forall (R : realFieldType) d (r w v : 'I_d -> R),
  dot v (fun c => r c - dot w r * w c) = dot v r - dot w r * dot v w
  /\ (square w = 1 -> dot w (fun c => r c - dot w r * w c) = 0).

(* Whichever unit rows are picked, |r_T|^2 = |x|^2 less the squares of all increments. *)
Definition energy_left := forall (R : realFieldType) d (picks : seq ('I_d -> R)) (x : 'I_d -> R),
  (forall t, (t < size picks)%N -> square (nth (fun=> 0) picks t) = 1) ->
  square (pursue x picks) = square x - taken x picks.

(* If every pick takes a share g of what is left, |r_T|^2 is at most (1 - g)^T |x|^2. *)
Definition rate_of_convergence := forall (R : realFieldType) d (picks : seq ('I_d -> R)) (x : 'I_d -> R) g,
  0 <= g <= 1 ->
  (forall t, (t < size picks)%N -> square (nth (fun=> 0) picks t) = 1) ->
  (forall t, (t < size picks)%N ->
     g * square (pursue x (take t picks)) <= dot (nth (fun=> 0) picks t) (pursue x (take t picks)) ^+ 2) ->
  square (pursue x picks) <= (1 - g) ^+ size picks * square x.

(* Tropp: 2 k mu < 1 + mu, h not 0 and k-sparse; then some row of the support beats every row outside, strictly. *)
Definition exact_recovery := forall (R : realFieldType) k n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu i0,
  unit_rows V -> coherent V mu -> 0 <= mu -> (2 * k)%:R * mu < 1 + mu -> sparse k h -> h i0 != 0 ->
  exists2 i, h i != 0 &
    forall j, h j = 0 -> `|dot (combine h V) (V j)| < `|dot (combine h V) (V i)|.

(* One step finds the support where |h|_1 (2 mu) < (1 + mu) |h_i| for all its entries. *)
Definition one_step_support := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu i j,
  unit_rows V -> coherent V mu -> 2%:R * mu * l1 h < (1 + mu) * `|h i| -> h j = 0 ->
  `|dot (combine h V) (V j)| < `|dot (combine h V) (V i)|.
