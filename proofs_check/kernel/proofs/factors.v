From mathcomp Require Import all_ssreflect all_algebra ring.
From Kernel Require Import vocabulary proofs.basics proofs.coherence proofs.selection proofs.pursuit.
From Kernel Require statements.factors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* a sum against an indicator *)
Lemma pick (R : realFieldType) n (F : 'I_n -> R) j : \sum_i F i * (i == j)%:R = F j.
Proof. by rewrite (bigD1 j) //= eqxx mulr1 big1 ?addr0 // => i /negPf ->; rewrite mulr0. Qed.

Theorem lift_inverse : statements.factors.lift_inverse.
Proof.
move=> R n y t nz i j; set s := \sum_i y i in nz *; have [t' et] : exists t', t' = - t / (1 + t * s) by eexists.
rewrite -et.
rewrite /product /lift.
transitivity (\sum_k (t * t' * y i * y k + t * y i * (k == j)%:R + t' * ((i == k)%:R * y k) + (i == k)%:R * (k == j)%:R)).
  by apply: eq_bigr => k _; move: (i == k)%:R (k == j)%:R => e f; ring.
rewrite !big_split /= -!mulr_sumr -/s.
have -> : \sum_k (k == j)%:R = 1 :> R by rewrite -[RHS](pick (fun=> 1) j); apply: eq_bigr => k _; rewrite mul1r.
have -> : \sum_k (i == k)%:R * y k = y i.
  by rewrite -[RHS](pick y i); apply: eq_bigr => k _; rewrite mulrC eq_sym.
rewrite (pick (fun k => (i == k)%:R)) -[RHS]add0r; congr (_ + _).
by rewrite et; field.
Qed.

Theorem layers_are_one : statements.factors.layers_are_one.
Proof.
move=> R a b c d F G W; split => [i j|F0 G0 i j]; last by apply: sumr_ge0 => k _; apply: mulr_ge0.
rewrite /product; under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: eq_bigr => k _; rewrite mulr_suml.
by apply: eq_bigr => l _; rewrite mulrA.
Qed.

Theorem scale_gauge : statements.factors.scale_gauge.
Proof. by move=> R N m d F W s nz i c; apply: eq_bigr => j _; rewrite mulrA divfK. Qed.

Theorem shear_gauge : statements.factors.shear_gauge.
Proof.
move=> R N m d F W p q a pq i c; rewrite /product.
transitivity (\sum_j (F i j * W j c + a * F i p * (W j c * (j == q)%:R) - a * W q c * (F i j * (j == p)%:R)
    - a * a * F i p * W q c * ((j == q)%:R * (j == p)%:R))).
  by apply: eq_bigr => j _; move: (j == q)%:R (j == p)%:R => e f; ring.
rewrite !sumrB big_split /= -!mulr_sumr !pick (negPf pq) mulr0 subr0.
by rewrite -[RHS]addr0 -addrA; congr (_ + _); ring.
Qed.

Theorem least_squares : statements.factors.least_squares.
Proof.
move=> R m N F y v w allowed v0 w0 normal.
pose r := minus y (combine w F); pose s := combine (minus v w) F.
have -> : square (minus y (combine v F)) = square (minus r s).
  apply: eq_square => c; change (y c - combine v F c = y c - combine w F c - combine (minus v w) F c).
  by rewrite combine_minus /minus opprB addrA subrK.
rewrite square_minus (_ : dot r s = 0) ?mulr0 ?subr0 //.
rewrite dotC dot_combine big1 // => j _.
by case: (boolP (allowed j)) => [/normal ->|out]; rewrite ?mulr0 // /minus v0 ?w0 // subrr mul0r.
Qed.

Theorem dual_code : statements.factors.dual_code.
Proof.
move=> R n d h V B e i.
transitivity (\sum_k \sum_j h j * (B i k * dot (V k) (V j))).
  apply: eq_bigr => k _; rewrite dotC dot_combine mulr_sumr; apply: eq_bigr => j _.
  by rewrite (dotC (V j)); ring.
rewrite exchange_big -[RHS](pick h i); apply: eq_bigr => j _.
by rewrite -mulr_sumr e eq_sym.
Qed.

Theorem pure_square : statements.factors.pure_square.
Proof.
move=> R n a; rewrite expr2 product_of_sums diagonal.
have -> : \sum_i a i ^+ 2 = \sum_i a i * a i by apply: eq_bigr => i _; rewrite expr2.
by rewrite addrAC subrr add0r.
Qed.

Theorem prefix_drop : statements.factors.prefix_drop.
Proof. by move=> R d r w f; rewrite square_axpy; ring. Qed.

Theorem hull_spread : statements.factors.hull_spread.
Proof.
move=> R n d a x one; set m := combine a x.
have -> : \sum_i a i * square (minus (x i) m)
    = \sum_i a i * square (x i) + (\sum_i a i) * square m - 2%:R * \sum_i a i * dot (x i) m.
  rewrite mulr_suml mulr_sumr -big_split -sumrB; apply: eq_bigr => i _ /=.
  by rewrite square_minus; ring.
have e : \sum_i a i * dot (x i) m = square m by rewrite /square {2}/m dot_combine.
by rewrite one e; ring.
Qed.

Theorem hull_bound : statements.factors.hull_bound.
Proof.
move=> R n d a x longest one a0 short; rewrite hull_spread //.
apply: (@le_trans _ _ (\sum_i a i * square (x i))).
  by rewrite ler_subl_addr ler_addl; apply: sumr_ge0 => i _; apply: mulr_ge0 => //; apply: square_ge0.
rewrite -[longest]mul1r -one mulr_suml; apply: ler_sum => i _; exact: ler_wpmul2l.
Qed.

Theorem attribution_complete : statements.factors.attribution_complete.
Proof. by move=> R H S d A v w; apply: eq_bigr => h _; apply: dot_combine. Qed.

Theorem orthogonal_outputs : statements.factors.orthogonal_outputs.
Proof. by move=> R n d r W o; apply: orthonormal_energy. Qed.
