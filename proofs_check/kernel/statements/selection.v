(* What the selection rules keep, and what they are nearest to. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Kernel Require Import vocabulary.
Set Implicit Arguments.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* AbsTopK keeps at most k entries. *)
Definition abs_top_k_sparse := forall (R : realFieldType) k n (u : 'I_n -> R), sparse k (abs_top_k u k).

(* Of all codes of at most k nonzeros AbsTopK's is nearest. *)
Definition abs_top_k_nearest := forall (R : realFieldType) k n (u z : 'I_n -> R),
  sparse k z -> square (minus u (abs_top_k u k)) <= square (minus u z).

(* Of all codes of at most k nonzeros, none below 0, TopK's is nearest. *)
Definition top_k_nearest := forall (R : realFieldType) k n (u z : 'I_n -> R),
  sparse k z -> (forall i, 0 <= z i) -> square (minus u (top_k u k)) <= square (minus u z).

(* AbsTopK commutes with any factor, -1 among them. *)
Definition abs_top_k_scaled := forall (R : realFieldType) k n (u : 'I_n -> R) c i,
  abs_top_k (fun j => c * u j) k i = c * abs_top_k u k i.

(* AbsTopK commutes with a change of sign of any entries. *)
Definition abs_top_k_signs := forall (R : realFieldType) k n (u : 'I_n -> R) (s : 'I_n -> bool) i,
  abs_top_k (fun j => sign R (s j) * u j) k i = sign R (s i) * abs_top_k u k i.

(* AbsTopK taken twice is AbsTopK. *)
Definition abs_top_k_twice := forall (R : realFieldType) k n (u : 'I_n -> R) i,
  abs_top_k (abs_top_k u k) k i = abs_top_k u k i.

(* The soft threshold minimises |z - u|^2 / 2 + lam |z|_1, by half the squared distance at least. *)
Definition soft_threshold_nearest := forall (R : realFieldType) n (u z : 'I_n -> R) lam,
  0 <= lam -> forall s, (forall i, s i = soft_threshold (u i) lam) ->
  square (minus s u) / 2%:R + lam * l1 s + square (minus z s) / 2%:R <= square (minus z u) / 2%:R + lam * l1 z.

(* ReLU shifted by lam minimises the same over codes of no negative entry. *)
Definition shifted_relu_nearest := forall (R : realFieldType) n (u z : 'I_n -> R) lam,
  0 <= lam -> (forall i, 0 <= z i) -> forall s, (forall i, s i = shifted_relu (u i) lam) ->
  square (minus s u) / 2%:R + lam * l1 s + square (minus z s) / 2%:R <= square (minus z u) / 2%:R + lam * l1 z.

(* Orthonormal rows: |x - zW|^2 = |x|^2 - |u|^2 + |u - z|^2 for u = x W^T and every z. *)
Definition order_of_errors := forall (R : realFieldType) n d (z : 'I_n -> R) (W : 'I_n -> 'I_d -> R) (x : 'I_d -> R),
  orthonormal W ->
  let u := fun i => dot x (W i) in
  square (minus x (combine z W)) = square x - square u + square (minus u z).

(* So AbsTopK leaves no more of x than any code of at most k nonzeros. *)
Definition orthonormal_best := forall (R : realFieldType) k n d (z : 'I_n -> R) (W : 'I_n -> 'I_d -> R) (x : 'I_d -> R),
  orthonormal W -> sparse k z ->
  square (minus x (combine (abs_top_k (fun i => dot x (W i)) k) W)) <= square (minus x (combine z W)).

(* One step: every u_i = <x, v_i> is within mu (|h|_1 - |h_i|) of h_i. *)
Definition one_step_bias := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu i,
  unit_rows V -> coherent V mu -> `|dot (combine h V) (V i) - h i| <= mu * (l1 h - `|h i|).

(* The rule keeps as many entries as the first prefix that is nearest to tau. *)
Definition nearest_prefix_first := forall (R : realFieldType) (first : R) rest tau,
  let norms := first :: rest in
  let k := nearest_prefix first rest tau in
  [/\ (0 < k <= size norms)%N,
      forall j, (j < size norms)%N -> `|nth 0 norms k.-1 - tau| <= `|nth 0 norms j - tau|
    & forall j, (j < k.-1)%N -> `|nth 0 norms k.-1 - tau| < `|nth 0 norms j - tau|].

(* relu(z) and relu(-z), the latents of z under [A, -A], give back z and its square, and are never both on. *)
Definition sign_split := forall (R : realFieldType) (z : R),
  let a := Num.max z 0 in let b := Num.max (- z) 0 in
  [/\ a - b = z, a ^+ 2 + b ^+ 2 = z ^+ 2, a * b = 0, 0 <= a & 0 <= b].

(* With A a Parseval frame [A, -A] reconstructs every x, with |f| = |x|. *)
Definition trivial_optimum := forall (R : realFieldType) n d (A : 'I_n -> 'I_d -> R) (x : 'I_d -> R),
  (forall a b, \sum_i A i a * A i b = (a == b)%:R) ->
  let up := fun i => Num.max (dot x (A i)) 0 in
  let down := fun i => Num.max (- dot x (A i)) 0 in
  (forall c, combine up A c - combine down A c = x c) /\ square up + square down = square x.

(* Sets of c latents: those of one role, those of a given role, and all of them are counted by binomial coefficients. *)
Definition of_one_role := forall n q (role : 'I_n -> 'I_q) c, (0 < c)%N ->
  let group := fun r => [set i | role i == r] in
  [/\ #|[set A : {set 'I_n} | (#|A| == c) && [exists r, A \subset group r]]| = \sum_r 'C(#|group r|, c),
      forall r, #|[set A : {set 'I_n} | (#|A| == c) && (A \subset group r)]| = 'C(#|group r|, c)
    & #|[set A : {set 'I_n} | #|A| == c]| = 'C(n, c)]%N.
