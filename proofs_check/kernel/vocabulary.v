(* The words of the statements: vectors are functions of a finite index, over any ordered field. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Vocabulary.
Variable R : realFieldType.

(* <x, y> *)
Definition dot d (x y : 'I_d -> R) : R := \sum_c x c * y c.

(* |x|^2 *)
Definition square d (x : 'I_d -> R) : R := dot x x.

(* |h|_1 *)
Definition l1 n (h : 'I_n -> R) : R := \sum_i `|h i|.

Definition minus d (x y : 'I_d -> R) : 'I_d -> R := fun c => x c - y c.

(* how many entries of h are not 0 *)
Definition count n (h : 'I_n -> R) : nat := #|[pred i | h i != 0]|.

Definition sparse k n (h : 'I_n -> R) : Prop := (count h <= k)%N.

(* hV = sum_i h_i v_i *)
Definition combine n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) : 'I_d -> R := fun c => \sum_i h i * V i c.

Definition unit_rows n d (V : 'I_n -> 'I_d -> R) : Prop := forall i, square (V i) = 1.

(* |<v_i, v_j>| <= mu for all pairs *)
Definition coherent n d (V : 'I_n -> 'I_d -> R) (mu : R) : Prop :=
  forall i j, i != j -> `|dot (V i) (V j)| <= mu.

(* the same for the pairs that h uses *)
Definition coherent_on n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) (mu : R) : Prop :=
  forall i j, i != j -> h i != 0 -> h j != 0 -> `|dot (V i) (V j)| <= mu.

Definition orthonormal n d (V : 'I_n -> 'I_d -> R) : Prop :=
  unit_rows V /\ forall i j, i != j -> dot (V i) (V j) = 0.

(* sum over i != j of h_i h_j <v_i, v_j> *)
Definition interference n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) : R :=
  \sum_i \sum_(j | j != i) h i * h j * dot (V i) (V j).

(* |hV|^2 is within delta of |h|^2, for s-sparse h *)
Definition restricted_isometry s n d (V : 'I_n -> 'I_d -> R) (delta : R) : Prop :=
  forall h, sparse s h ->
    (1 - delta) * square h <= square (combine h V) /\ square (combine h V) <= (1 + delta) * square h.

(* how many entries come before entry i, from the largest on; of equal ones the first *)
Definition rank n (size : 'I_n -> R) (i : 'I_n) : nat :=
  #|[pred j | (j != i) && (if (j < i)%N then size i <= size j else size i < size j)]|.

(* keep the k entries of largest size *)
Definition abs_top_k n (u : 'I_n -> R) (k : nat) : 'I_n -> R :=
  fun i => if (rank (fun j => `|u j|%R) i < k)%N then u i else 0.

Definition top_k n (u : 'I_n -> R) (k : nat) : 'I_n -> R := abs_top_k (fun i => Num.max (u i) 0) k.

Definition soft_threshold (u lam : R) : R := Num.max (u - lam) 0 - Num.max (- u - lam) 0.

Definition shifted_relu (u lam : R) : R := Num.max (u - lam) 0.

(* the position after a pass over the list: first with the least distance to tau *)
Fixpoint nearest_from (norms : seq R) (tau : R) (next best : nat) (least : R) : nat :=
  match norms with
  | [::] => best
  | c :: rest =>
      if `|c - tau| < least then nearest_from rest tau next.+1 next `|c - tau|
      else nearest_from rest tau next.+1 best least
  end.

(* how many entries the rule keeps, at least 1 *)
Definition nearest_prefix (first : R) (rest : seq R) (tau : R) : nat :=
  nearest_from rest tau 2 1 `|first - tau|.

(* residual after steps along the rows picked, each with its inner product *)
Fixpoint pursue d (x : 'I_d -> R) (picks : seq ('I_d -> R)) : 'I_d -> R :=
  match picks with
  | [::] => x
  | w :: rest => pursue (fun c => x c - dot w x * w c) rest
  end.

(* the inner products that those steps take out, squared and summed *)
Fixpoint taken d (x : 'I_d -> R) (picks : seq ('I_d -> R)) : R :=
  match picks with
  | [::] => 0
  | w :: rest => dot w x ^+ 2 + taken (fun c => x c - dot w x * w c) rest
  end.

(* +1 or -1 *)
Definition sign (b : bool) : R := if b then -1 else 1.

(* mean over all patterns of n fair signs *)
Definition mean_of_signs n (F : {ffun 'I_n -> bool} -> R) : R := (\sum_s F s) / (2 ^ n)%:R.

Definition product a b c (A : 'I_a -> 'I_b -> R) (B : 'I_b -> 'I_c -> R) : 'I_a -> 'I_c -> R :=
  fun i j => \sum_k A i k * B k j.

(* I + t y 1^T *)
Definition lift n (y : 'I_n -> R) (t : R) : 'I_n -> 'I_n -> R := fun i j => t * y i + (i == j)%:R.

End Vocabulary.
