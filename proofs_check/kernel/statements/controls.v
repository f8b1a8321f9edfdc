(* Statements with a hypothesis dropped, each negated; and instances that meet the hypotheses. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Kernel Require Import vocabulary.
Set Implicit Arguments.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* Without 0 <= mu the bound mu (k - 1) |h|^2 is false: one row, k = 2, mu = -1. *)
Definition count_form_needs_sign :=
  ~ forall k n d (h : 'I_n -> rat) (V : 'I_n -> 'I_d -> rat) mu,
      coherent_on h V mu -> sparse k h -> `|interference h V| <= mu * (k%:R - 1) * square h.

(* Without unit rows |hV|^2 - |h|^2 is not the interference: the row 2. *)
Definition identity_needs_unit_rows :=
  ~ forall n d (h : 'I_n -> rat) (V : 'I_n -> 'I_d -> rat), square (combine h V) - square h = interference h V.

(* Without sparsity AbsTopK is not nearest: k = 0 and z = u. *)
Definition nearest_needs_sparsity :=
  ~ forall k n (u z : 'I_n -> rat), square (minus u (abs_top_k u k)) <= square (minus u z).

(* Without a unit row a step may raise |r|^2: the row 2. *)
Definition fall_needs_unit_rows :=
  ~ forall d (r w : 'I_d -> rat), square (fun c => r c - dot w r * w c) <= square r.

(* For every n there are unit rows without any overlap: they meet the hypotheses for every mu >= 0. *)
Definition unit_rows_exist := forall n (mu : rat), 0 <= mu ->
  exists V : 'I_n -> 'I_n -> rat, [/\ unit_rows V, coherent V mu & orthonormal V].

(* Rows that do overlap: two unit rows in the plane with product 3/5, and a 1-sparse code of them below the bound. *)
Definition overlapping_rows_exist :=
  exists V : 'I_2 -> 'I_2 -> rat,
    [/\ unit_rows V, coherent V (3%:R / 5%:R), dot (V 0) (V 1) = 3%:R / 5%:R & ((2 * 1)%:R - 1) * (3%:R / 5%:R) < 1 :> rat].
