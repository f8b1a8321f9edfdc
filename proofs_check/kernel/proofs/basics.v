(* What several proofs use. *)
From mathcomp Require Import all_ssreflect all_algebra ring.
From Kernel Require Import vocabulary.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Basics.
Variable R : realFieldType.

Lemma natr1 n : n%:R + 1 = n.+1%:R :> R.
Proof. by rewrite -addn1 natrD. Qed.

Lemma dotC d (x y : 'I_d -> R) : dot x y = dot y x.
Proof. by apply: eq_bigr => c _; rewrite mulrC. Qed.

Lemma eq_dot d (x x' y y' : 'I_d -> R) : x =1 x' -> y =1 y' -> dot x y = dot x' y'.
Proof. by move=> ex ey; apply: eq_bigr => c _; rewrite ex ey. Qed.

Lemma eq_square d (x y : 'I_d -> R) : x =1 y -> square x = square y.
Proof. by move=> e; apply: eq_dot. Qed.

Lemma square_ge0 d (x : 'I_d -> R) : 0 <= square x.
Proof. by apply: sumr_ge0 => c _; rewrite -expr2 sqr_ge0. Qed.

Lemma square_eq0 d (x : 'I_d -> R) : square x = 0 -> forall c, x c = 0.
Proof.
move=> s0 c; apply/eqP; rewrite -sqrf_eq0 expr2.
by rewrite (psumr_eq0P _ s0) // => i _; rewrite -expr2 sqr_ge0.
Qed.

Lemma dot_combine n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) y :
  dot (combine h V) y = \sum_i h i * dot (V i) y.
Proof.
rewrite /dot /combine; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big; apply: eq_bigr => i _; rewrite mulr_sumr.
by apply: eq_bigr => c _; rewrite mulrA.
Qed.

Lemma dot_minus d (x y z : 'I_d -> R) : dot (minus x y) z = dot x z - dot y z.
Proof. by rewrite /dot -sumrB; apply: eq_bigr => c _; rewrite mulrBl. Qed.

Lemma square_plus d (x y : 'I_d -> R) :
  square (fun c => x c + y c) = square x + square y + 2%:R * dot x y.
Proof. by rewrite /square /dot mulr_sumr -!big_split; apply: eq_bigr => c _ /=; ring. Qed.

Lemma square_minus d (x y : 'I_d -> R) :
  square (minus x y) = square x + square y - 2%:R * dot x y.
Proof.
rewrite /square /dot mulr_sumr -big_split -sumrB.
by apply: eq_bigr => c _ /=; rewrite /minus; ring.
Qed.

Lemma square_axpy d (x w : 'I_d -> R) t :
  square (fun c => x c - t * w c) = square x - 2%:R * t * dot w x + t ^+ 2 * square w.
Proof.
rewrite /square /dot !mulr_sumr -sumrB -big_split.
by apply: eq_bigr => c _ /=; ring.
Qed.

Lemma square_sum d (x : 'I_d -> R) : square x = \sum_c x c ^+ 2.
Proof. by apply: eq_bigr => c _; rewrite expr2. Qed.

Lemma diagonal n (F : 'I_n -> 'I_n -> R) :
  \sum_i \sum_j F i j = \sum_i F i i + \sum_i \sum_(j | j != i) F i j.
Proof. by rewrite -big_split; apply: eq_bigr => i _ /=; rewrite (bigD1 i). Qed.

Lemma combine_minus n d (f g : 'I_n -> R) (V : 'I_n -> 'I_d -> R) :
  combine (minus f g) V =1 minus (combine f V) (combine g V).
Proof. by move=> c; rewrite /combine /minus -sumrB; apply: eq_bigr => i _; rewrite mulrBl. Qed.

Lemma product_of_sums n m (f : 'I_n -> R) (g : 'I_m -> R) :
  (\sum_i f i) * (\sum_j g j) = \sum_i \sum_j f i * g j.
Proof. by rewrite mulr_suml; apply: eq_bigr => i _; rewrite mulr_sumr. Qed.

Lemma pairs_of_l1 n (h : 'I_n -> R) :
  \sum_i \sum_(j | j != i) `|h i| * `|h j| = l1 h ^+ 2 - square h.
Proof.
rewrite expr2 /l1 product_of_sums diagonal.
have -> : \sum_i `|h i| * `|h i| = square h.
  by rewrite /square /dot; apply: eq_bigr => i _; rewrite -normrM ger0_norm // -expr2 sqr_ge0.
by rewrite addrAC subrr add0r.
Qed.

Lemma pairs_ge0 n (h : 'I_n -> R) : 0 <= l1 h ^+ 2 - square h.
Proof. by rewrite -pairs_of_l1; apply: sumr_ge0 => i _; apply: sumr_ge0 => j _; rewrite mulr_ge0. Qed.

Lemma sparse_minus k n (f g : 'I_n -> R) : sparse k f -> sparse k g -> sparse (2 * k)%N (minus f g).
Proof.
rewrite /sparse /count mul2n -addnn => sf sg.
apply: (leq_trans _ (leq_add sf sg)); rewrite -cardUI.
apply: (leq_trans _ (leq_addr _ _)); apply: subset_leq_card; apply/subsetP => i.
rewrite !inE /minus; case: (eqVneq (f i) 0) => [->|] //=.
by case: (eqVneq (g i) 0) => [->|] //=; rewrite subrr eqxx.
Qed.

End Basics.
