From mathcomp Require Import all_ssreflect all_algebra ring.
From Kernel Require Import vocabulary proofs.basics.
From Kernel Require statements.coherence.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Theorem gram_expansion : statements.coherence.gram_expansion.
Proof.
move=> R n d h V; rewrite /square dot_combine; apply: eq_bigr => i _.
rewrite dotC dot_combine mulr_sumr; apply: eq_bigr => j _.
by rewrite mulrA (dotC (V j)).
Qed.

Theorem interference_identity : statements.coherence.interference_identity.
Proof.
move=> R n d h V u; rewrite gram_expansion diagonal /interference.
have -> : \sum_i h i * h i * dot (V i) (V i) = square h.
  by rewrite /square {2}/dot; apply: eq_bigr => i _; rewrite [dot _ _]u mulr1.
by rewrite addrAC subrr add0r.
Qed.

Theorem cauchy_schwarz : statements.coherence.cauchy_schwarz.
Proof.
move=> R d x y; rewrite -subr_ge0.
suff e : 2%:R * (square x * square y - dot x y ^+ 2) = \sum_i \sum_j (x i * y j - x j * y i) ^+ 2.
  rewrite -(pmulr_rge0 _ (ltr0Sn R 1)) e.
  by apply: sumr_ge0 => i _; apply: sumr_ge0 => j _; apply: sqr_ge0.
have -> : 2%:R * (square x * square y - dot x y ^+ 2)
    = square x * square y + square y * square x - 2%:R * (dot x y * dot x y) by ring.
rewrite /square /dot !product_of_sums mulr_sumr -big_split -sumrB.
apply: eq_bigr => i _; rewrite mulr_sumr -big_split -sumrB.
by apply: eq_bigr => j _ /=; ring.
Qed.

Theorem sparse_l1 : statements.coherence.sparse_l1.
Proof.
move=> R k n h s; pose on i : R := (h i != 0)%:R.
have e : l1 h = dot on (fun i => `|h i|).
  apply: eq_bigr => i _; rewrite /on; case: eqVneq => [->|_]; by rewrite ?normr0 ?mul0r ?mul1r.
have on2 : square on = (count h)%:R.
  rewrite /count -sum1_card natr_sum [RHS]big_mkcond; apply: eq_bigr => i _.
  by rewrite /on inE; case: (h i != 0); rewrite ?mul1r ?mul0r.
have a2 : square (fun i => `|h i|) = square h.
  by rewrite /square /dot; apply: eq_bigr => i _; rewrite -normrM ger0_norm // -expr2 sqr_ge0.
rewrite e; apply: (le_trans (cauchy_schwarz _ _)); rewrite on2 a2.
by apply: ler_wpmul2r; [apply: square_ge0 | rewrite ler_nat].
Qed.

Lemma weighted_pairs (R : realFieldType) n (h : 'I_n -> R) (G : 'I_n -> 'I_n -> R) mu :
  (forall i j, i != j -> h i != 0 -> h j != 0 -> `|G i j| <= mu) ->
  `|\sum_i \sum_(j | j != i) h i * h j * G i j| <= mu * (l1 h ^+ 2 - square h).
Proof.
move=> c; rewrite -pairs_of_l1 mulr_sumr; apply: (le_trans (ler_norm_sum _ _ _)).
apply: ler_sum => i _; rewrite mulr_sumr; apply: (le_trans (ler_norm_sum _ _ _)).
apply: ler_sum => j ji; rewrite !normrM mulrC.
have [->|hi] := eqVneq (h i) 0; first by rewrite normr0 !mul0r !mulr0.
have [->|hj] := eqVneq (h j) 0; first by rewrite normr0 !mulr0.
by apply: ler_wpmul2r; [rewrite mulr_ge0 | apply: c; rewrite // eq_sym].
Qed.

Theorem l1_form : statements.coherence.l1_form.
Proof. by move=> R n d h V mu c; apply: weighted_pairs. Qed.

Theorem count_form : statements.coherence.count_form.
Proof.
move=> R k n d h V mu mu0 c s; apply: (le_trans (l1_form c)).
rewrite -mulrA; apply: ler_wpmul2l => //.
by rewrite mulrBl mul1r ler_sub // sparse_l1.
Qed.

Theorem signed_form : statements.coherence.signed_form.
Proof.
move=> R n d h V a b h0 ab; rewrite -pairs_of_l1 !mulr_sumr.
have each i j : j != i ->
    a * (`|h i| * `|h j|) <= h i * h j * dot (V i) (V j) <= b * (`|h i| * `|h j|).
  move=> ji; rewrite !ger0_norm // ![_ * (h i * h j)]mulrC.
  have [->|hi] := eqVneq (h i) 0; first by rewrite !mul0r lexx.
  have [->|hj] := eqVneq (h j) 0; first by rewrite !mulr0 !mul0r lexx.
  have := ab i j; rewrite eq_sym => /(_ ji hi hj) /andP [low high].
  by apply/andP; split; apply: ler_wpmul2l => //; apply: mulr_ge0.
by apply/andP; split; apply: ler_sum => i _; rewrite mulr_sumr; apply: ler_sum => j /each /andP [].
Qed.

Theorem babel_form : statements.coherence.babel_form.
Proof.
move=> R n d h V B sums.
pose w i j : R := (if [&& j != i, h i != 0 & h j != 0] then `|dot (V i) (V j)| else 0).
have wC i j : w i j = w j i.
  by rewrite /w eq_sym dotC [(h i != 0) && _]andbC.
have w0 i j : 0 <= w i j by rewrite /w; case: ifP.
apply: (@le_trans _ _ (\sum_i \sum_j (h i ^+ 2 + h j ^+ 2) / 2%:R * w i j)).
  apply: (le_trans (ler_norm_sum _ _ _)); apply: ler_sum => i _.
  apply: (le_trans (ler_norm_sum _ _ _)); rewrite [X in X <= _]big_mkcond; apply: ler_sum => j _.
  have half0 : 0 <= (h i ^+ 2 + h j ^+ 2) / 2%:R * w i j.
    apply: mulr_ge0 => //; apply: divr_ge0; [by apply: addr_ge0; exact: sqr_ge0 | exact: ler0n].
  case: ifP => // ji; rewrite !normrM.
  have [hi0|hi] := eqVneq (h i) 0; first by rewrite {1}hi0 normr0 !mul0r.
  have [hj0|hj] := eqVneq (h j) 0; first by rewrite {1}hj0 normr0 mulr0 mul0r.
  rewrite /w ji hi hj; apply: ler_wpmul2r => //.
  rewrite ler_pdivl_mulr ?ltr0n // -subr_ge0.
  have := sqr_ge0 (`|h i| - `|h j|); rewrite sqrrB !real_normK ?num_real //.
  by rewrite mulr_natr addrAC.
have -> : \sum_i \sum_j (h i ^+ 2 + h j ^+ 2) / 2%:R * w i j = \sum_i h i ^+ 2 * \sum_j w i j.
  have e : \sum_i \sum_j h j ^+ 2 * w i j = \sum_i \sum_j h i ^+ 2 * w i j.
    by rewrite exchange_big; apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite wC.
  transitivity ((\sum_i \sum_j h i ^+ 2 * w i j + \sum_i \sum_j h j ^+ 2 * w i j) / 2%:R).
    rewrite -big_split mulr_suml; apply: eq_bigr => i _; rewrite -big_split mulr_suml.
    by apply: eq_bigr => j _ /=; ring.
  rewrite e -mulr2n -[_ *+ 2]mulr_natr mulfK ?pnatr_eq0 //.
  by apply: eq_bigr => i _; rewrite mulr_sumr.
rewrite square_sum mulr_sumr; apply: ler_sum => i _; rewrite mulrC.
have [->|hi] := eqVneq (h i) 0; first by rewrite expr0n !mulr0.
apply: ler_wpmul2r; first exact: sqr_ge0.
apply: (le_trans _ (sums i hi)); rewrite [X in _ <= X]big_mkcond.
by apply: ler_sum => j _; rewrite /w hi.
Qed.

Theorem babel_at_most : statements.coherence.babel_at_most.
Proof.
move=> R k n d h V mu i mu0 c s hi.
apply: (@le_trans _ _ (\sum_(j | (j != i) && (h j != 0)) mu)).
  by apply: ler_sum => j /andP [ji hj]; apply: c; rewrite // eq_sym.
rewrite sumr_const -[mu *+ _]mulr_natr; apply: ler_wpmul2l => //.
rewrite ler_subr_addr natr1 ler_nat; apply: leq_trans s.
rewrite /count [X in (_ <= X)%N](cardD1 i) inE hi add1n ltnS.
by apply: subset_leq_card; apply/subsetP => j; rewrite !inE.
Qed.

Theorem cone_attains : statements.coherence.cone_attains.
Proof.
move=> R n d h V mu h0 e; rewrite -pairs_of_l1 mulr_sumr; apply: eq_bigr => i _.
rewrite mulr_sumr; apply: eq_bigr => j ji; rewrite !ger0_norm // mulrC.
have [->|hi] := eqVneq (h i) 0; first by rewrite !mul0r !mulr0.
have [->|hj] := eqVneq (h j) 0; first by rewrite !mulr0.
by rewrite e // eq_sym.
Qed.

Theorem flat_l1 : statements.coherence.flat_l1.
Proof.
move=> R n h t e.
have a (F : R -> R) : F 0 = 0 -> \sum_i F (h i) = (count h)%:R * F t.
  move=> F0; rewrite (bigID (fun i => h i != 0)) /= [X in _ + X]big1 ?addr0; last first.
    by move=> i; rewrite negbK => /eqP ->.
  rewrite (eq_bigr (fun=> F t)) => [|i /e -> //].
  by rewrite sumr_const -[F t *+ _]mulr_natl.
rewrite /l1 square_sum (a Num.norm) ?normr0 // (a (fun v => v ^+ 2)) ?expr0n //.
by rewrite exprMn real_normK ?num_real // mulrA expr2.
Qed.

Lemma coherent_coherent_on (R : realFieldType) n d h (V : 'I_n -> 'I_d -> R) mu : coherent V mu -> coherent_on h V mu.
Proof. by move=> c i j ij _ _; apply: c. Qed.

Lemma sparse_all (R : realFieldType) n (h : 'I_n -> R) : sparse n h.
Proof. by rewrite /sparse /count -[X in (_ <= X)%N](card_ord n) max_card. Qed.

Theorem paper_bound : statements.coherence.paper_bound.
Proof.
move=> R n d h V eps u e0 co n0 c.
have c0 : 0 <= c by rewrite mulr_ge0 // subr_ge0 ler1n.
have := count_form e0 (coherent_coherent_on (h := h) co) (sparse_all h).
rewrite -interference_identity // -/c ler_norml ler_subr_addr ler_subl_addr => /andP [low high].
have c1 : 0 < 1 + c by rewrite ltr_paddr.
split; first by rewrite ler_pdivr_mulr // mulrC mulrDl mul1r addrC.
by move=> c_lt1; rewrite ler_pdivl_mulr ?subr_gt0 // mulrC mulrBl mul1r addrC.
Qed.

Theorem lower_bound : statements.coherence.lower_bound.
Proof.
move=> R n d h V mu u c p; rewrite ler_pdivr_mulr // interference_identity //; exact: l1_form.
Qed.

Theorem residual_identity : statements.coherence.residual_identity.
Proof. by move=> R n d f V rho u; rewrite square_plus -(interference_identity f u); ring. Qed.

Theorem residual_gap : statements.coherence.residual_gap.
Proof.
move=> R n d f V x mu u c.
rewrite -[square x - square f](subrKA (square (combine f V))) addrC.
apply: (le_trans (ler_norm_add _ _)); apply: ler_add => //.
by rewrite interference_identity //; apply: l1_form.
Qed.

Theorem two_codes : statements.coherence.two_codes.
Proof.
move=> R n d h g V mu u c.
have -> : dot (combine h V) (combine g V) = \sum_i \sum_j h i * g j * dot (V i) (V j).
  rewrite dot_combine; apply: eq_bigr => i _; rewrite dotC dot_combine mulr_sumr.
  by apply: eq_bigr => j _; rewrite mulrA (dotC (V j)).
rewrite diagonal; have -> : \sum_i h i * g i * dot (V i) (V i) = dot h g.
  by rewrite {2}/dot; apply: eq_bigr => i _; rewrite [dot _ _]u mulr1.
rewrite addrAC subrr add0r /l1 product_of_sums diagonal.
have -> : \sum_i `|h i| * `|g i| = \sum_i `|h i * g i| by apply: eq_bigr => i _; rewrite normrM.
rewrite addrAC subrr add0r mulr_sumr; apply: (le_trans (ler_norm_sum _ _ _)).
apply: ler_sum => i _; rewrite mulr_sumr; apply: (le_trans (ler_norm_sum _ _ _)).
apply: ler_sum => j ji; rewrite !normrM mulrC; apply: ler_wpmul2r; first by rewrite mulr_ge0.
by apply: c; rewrite eq_sym.
Qed.

Theorem frame_potential : statements.coherence.frame_potential.
Proof.
move=> R n d V.
transitivity (\sum_i \sum_j \sum_a \sum_b V i a * V i b * (V j a * V j b)).
  apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite expr2 /dot product_of_sums.
  by apply: eq_bigr => a _; apply: eq_bigr => b _; ring.
under eq_bigr do rewrite exchange_big.
rewrite exchange_big; apply: eq_bigr => a _.
under eq_bigr do rewrite exchange_big.
by rewrite exchange_big; apply: eq_bigr => b _; rewrite expr2 product_of_sums.
Qed.

Theorem welch_sum : statements.coherence.welch_sum.
Proof.
move=> R n d V; rewrite frame_potential.
pose S a : R := \sum_i V i a * V i a.
have -> : \sum_i square (V i) = dot S (fun=> 1).
  by rewrite /square /dot exchange_big; apply: eq_bigr => a _; rewrite mulr1.
apply: (le_trans (cauchy_schwarz _ _)); rewrite mulrC.
have -> : square (fun _ : 'I_d => 1 : R) = d%:R.
  by rewrite /square /dot mulr1 sumr_const card_ord.
apply: ler_wpmul2l; first exact: ler0n.
rewrite square_sum; apply: ler_sum => a _; rewrite (bigD1 a) //= ler_addl.
by apply: sumr_ge0 => b _; apply: sqr_ge0.
Qed.

Theorem welch_pairs : statements.coherence.welch_pairs.
Proof.
move=> R n d V u; have := welch_sum V.
rewrite diagonal (eq_bigr (fun=> 1)) // sumr_const card_ord.
rewrite (eq_bigr (fun=> 1)) => [|i _]; last by rewrite [dot _ _]u expr1n.
by rewrite sumr_const card_ord mulrBr -expr2 mulrDr ler_subl_addr addrC mulrC [n%:R * d%:R]mulrC addrC.
Qed.

Theorem welch : statements.coherence.welch.
Proof.
move=> R n d V mu u c n0; rewrite -(ler_pmul2l (_ : 0 < n%:R)) ?ltr0n //.
apply: (le_trans (welch_pairs u)).
have -> : n%:R * (d%:R * (n%:R - 1) * mu ^+ 2) = d%:R * (n%:R * ((n%:R - 1) * mu ^+ 2)) by ring.
apply: ler_wpmul2l; first exact: ler0n.
have -> : n%:R * ((n%:R - 1) * mu ^+ 2) = \sum_(i < n) \sum_(j | j != i) mu ^+ 2.
  rewrite (eq_bigr (fun=> (n%:R - 1) * mu ^+ 2)); first by rewrite sumr_const card_ord mulr_natl.
  move=> i _; rewrite sumr_const -mulr_natl; congr (_ * _).
  have := cardC1 i; rewrite card_ord => e; rewrite (_ : #|_| = n.-1) //.
  by rewrite -[in RHS](prednK n0) -natr1 addrK.
apply: ler_sum => i _; apply: ler_sum => j ji.
rewrite -[X in X <= _]real_normK ?num_real // ler_sqr ?nnegrE //.
  by apply: c; rewrite eq_sym.
by apply: (le_trans (normr_ge0 _) (c i j _)); rewrite eq_sym.
Qed.

Theorem superposition : statements.coherence.superposition.
Proof.
move=> R n d V eps u c /andP [d0 dn].
have n0 := ltn_trans d0 dn; have n1 : (1 < n)%N by apply: leq_ltn_trans dn.
have n1' : 0 < n%:R - 1 :> R by rewrite subr_gt0 ltr1n.
have e0 : 0 <= eps by apply: (le_trans (normr_ge0 _) (c (Ordinal n0) (Ordinal n1) _)).
have d0' : 0 < d%:R :> R by rewrite ltr0n.
have k0 : 0 <= n%:R - 1 - d%:R :> R.
  by rewrite subr_ge0 ler_subr_addr natr1 ler_nat.
have d1 : 1 <= d%:R :> R by rewrite ler1n.
rewrite -(@ler_sqr R) ?nnegrE ?ler01 ?mulr_ge0 ?(ltW n1') //.
rewrite expr1n -(ler_pmul2l d0') mulr1.
apply: (@le_trans _ _ ((n%:R - d%:R) * (n%:R - 1))).
  have -> : (n%:R - d%:R) * (n%:R - 1) = d%:R + (n%:R - 1 - d%:R) * n%:R :> R by ring.
  by rewrite ler_addl; apply: mulr_ge0; rewrite ?ler0n.
have -> : d%:R * (eps * (n%:R - 1)) ^+ 2 = d%:R * (n%:R - 1) * eps ^+ 2 * (n%:R - 1) by ring.
by apply: ler_wpmul2r (ltW n1') _ _ (welch u c n0).
Qed.

Lemma energy_low (R : realFieldType) k n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) mu :
  unit_rows V -> coherent V mu -> 0 <= mu -> sparse k h ->
  (1 - mu * (k%:R - 1)) * square h <= square (combine h V).
Proof.
move=> u c mu0 s; have := count_form mu0 (coherent_coherent_on (h := h) c) s.
rewrite -interference_identity // ler_norml => /andP [low _].
by rewrite mulrBl mul1r -subr_ge0 opprB addrCA addrC -ler_subl_addr sub0r.
Qed.

Theorem one_sparse_code : statements.coherence.one_sparse_code.
Proof.
move=> R k n d f g V mu u c mu0 small sf sg e i; apply/eqP; rewrite -subr_eq0; apply/eqP.
rewrite -/(minus f g i); apply: square_eq0.
have := energy_low u c mu0 (sparse_minus sf sg).
have -> : square (combine (minus f g) V) = 0.
  rewrite (eq_square (combine_minus f g V)); apply: big1 => a _.
  by rewrite /minus e subrr mul0r.
rewrite pmulr_rle0 ?subr_gt0; last by rewrite mulrC.
by move=> low; apply/eqP; rewrite eq_le low square_ge0.
Qed.

Theorem isometry_codes : statements.coherence.isometry_codes.
Proof.
move=> R k n d f g V x delta e2 iso sf sg nf ng.
have [low _] := iso _ (sparse_minus sf sg); apply: (le_trans low).
rewrite (eq_square (combine_minus f g V)).
pose a := minus x (combine f V); pose b := minus x (combine g V).
rewrite (_ : square _ = square (minus b a)); last by apply: eq_square => i; rewrite /minus /b /a /minus; ring.
have p : square (minus b a) = 2%:R * square a + 2%:R * square b - square (fun i => b i + a i).
  by rewrite square_minus square_plus; ring.
rewrite p ler_subl_addr -[X in X <= _]addr0; apply: ler_add; last exact: square_ge0.
rewrite -mulrDr (_ : 4%:R * e2 = 2%:R * (e2 + e2)); last by ring.
by apply: ler_wpmul2l; [exact: ler0n | apply: ler_add].
Qed.
