From mathcomp Require Import all_ssreflect all_algebra ring.
From Kernel Require Import vocabulary proofs.basics proofs.coherence.
From Kernel Require statements.selection.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Rank.
Variables (R : realFieldType) (n : nat) (s : 'I_n -> R).

Definition before (j i : 'I_n) := (j != i) && (if (j < i)%N then s i <= s j else s i < s j).

Lemma before_le j i : before j i -> s i <= s j.
Proof. by case/andP => _; case: ifP => // _ /ltW. Qed.

Lemma before_total i j : i != j -> before i j || before j i.
Proof.
move=> ij; rewrite /before ij eq_sym ij /=.
have [l|l|/val_inj e] := ltngtP i j; last by rewrite e eqxx in ij.
- by case: leP.
- by case: leP; rewrite ?orbT.
Qed.

Lemma before_trans j i k : before j i -> before i k -> before j k.
Proof.
rewrite /before => /andP [ji sji] /andP [ik sik].
have jk : j != k.
  apply/eqP => e; subst k; move: sji sik; have [l|l|/val_inj e] := ltngtP i j; last by rewrite e eqxx in ji.
  - by move=> a b; have := lt_le_trans a b; rewrite ltxx.
  - by move=> a b; have := lt_le_trans b a; rewrite ltxx.
rewrite jk /=; have [lji|lji] := ltnP j i; have [lik|lik] := ltnP i k; rewrite ?lji ?lik in sji sik.
- by rewrite (ltn_trans lji lik); apply: le_trans sik sji.
- rewrite ltnNge lik /= in sik; by case: ifP => _; [apply: ltW|]; apply: lt_le_trans sik sji.
- rewrite ltnNge lji /= in sji; by case: ifP => _; [apply: ltW|]; apply: le_lt_trans sik sji.
- rewrite ltnNge lji /= in sji; rewrite ltnNge lik /= in sik.
  by case: ifP => _; [apply: ltW|]; apply: lt_trans sik sji.
Qed.

Lemma rank_before j i : before j i -> (rank s j < rank s i)%N.
Proof.
move=> b; apply: proper_card; apply/properP; split.
  by apply/subsetP => l; rewrite !inE => lj; apply: before_trans b.
by exists j; rewrite !inE ?eqxx.
Qed.

Lemma rank_inj : injective (rank s).
Proof.
move=> i j e; apply/eqP; apply: contraT => ij.
by case/orP: (before_total ij) => /rank_before; rewrite e ltnn.
Qed.

Lemma rank_lt i : (rank s i < n)%N.
Proof.
rewrite -[X in (_ < X)%N]card_ord; apply: proper_card; apply/properP; split; first exact/subsetP.
by exists i; rewrite // inE eqxx.
Qed.

Definition place i : 'I_n := Ordinal (rank_lt i).

Lemma place_inj : injective place.
Proof. by move=> i j /(congr1 val) /rank_inj. Qed.

Lemma kept_count k : #|[pred i | (rank s i < k)%N]| = minn k n.
Proof.
have -> : #|[pred i | (rank s i < k)%N]| = #|[pred i : 'I_n | (i < k)%N]|.
  rewrite -(card_image place_inj); apply: eq_card => x; rewrite !inE.
  have [y _ yx] : exists2 y, true & place y = x.
    by have [f fK Kf] := injF_bij place_inj; exists (f x).
  apply/imageP/idP => [[i ik ->]|xk]; first by rewrite inE in ik.
  by exists y; rewrite ?inE // -yx in xk *.
rewrite -sum1_card; have [kn|nk] := leqP k n.
  by rewrite (big_ord_narrow kn) sum1_card card_ord.
rewrite (eq_bigl xpredT) ?sum1_card ?card_ord // => i.
by rewrite inE (leq_trans (ltn_ord i) (ltnW nk)).
Qed.

End Rank.

Theorem abs_top_k_sparse : statements.selection.abs_top_k_sparse.
Proof.
move=> R k n u; rewrite /sparse /count.
apply: (@leq_trans #|[pred i | (rank (fun j => `|u j|%R) i < k)%N]|); last by rewrite kept_count geq_minl.
by apply: subset_leq_card; apply/subsetP => i; rewrite !inE /abs_top_k; case: ifP => //; rewrite eqxx.
Qed.

(* a size that separates what is kept from what is not *)
Lemma threshold (R : realFieldType) k n (u : 'I_n -> R) (T := [pred i | (rank (fun j => `|u j|%R) i < k)%N]) :
  exists t, [/\ 0 <= t, forall i, T i -> t <= u i ^+ 2, forall i, ~~ T i -> u i ^+ 2 <= t
    & t = 0 \/ (k <= #|T|)%N].
Proof.
case: (pickP [pred i | ~~ T i]) => [i0 /= out|all]; last first.
  exists 0; split => // [i _|i out|]; [exact: sqr_ge0 | by move: (all i); rewrite /= out | by left].
case: (@arg_maxP _ _ _ i0 [pred i | ~~ T i] (fun i => u i ^+ 2) out) => m mout largest.
exists (u m ^+ 2); split => [|i inT|i iout|]; first exact: sqr_ge0.
- rewrite -[u m ^+ 2]real_normK ?num_real // -[u i ^+ 2]real_normK ?num_real //.
  rewrite ler_sqr ?nnegrE //.
  have im : i != m by apply/eqP => e; rewrite /= -e inT in mout.
  case/orP: (before_total (fun j => `|u j|) im) => b; first exact: before_le b.
  have c := mout; rewrite /= -leqNgt in c.
  by have := leq_ltn_trans (leq_trans c (ltnW (rank_before b))) inT; rewrite ltnn.
- exact: largest.
right; rewrite kept_count leq_min leqnn /=; move: out; rewrite /= -leqNgt => out.
exact: leq_trans out (ltnW (rank_lt _ _)).
Qed.

Lemma left_out (R : realFieldType) n (u : 'I_n -> R) (P : pred 'I_n) :
  square (minus u (fun i => if P i then u i else 0)) = \sum_i u i ^+ 2 - \sum_(i | P i) u i ^+ 2.
Proof.
rewrite square_sum [X in _ - X]big_mkcond -sumrB; apply: eq_bigr => i _ /=.
by rewrite /minus; case: (P i); rewrite ?subrr ?subr0 ?expr0n.
Qed.

Theorem abs_top_k_nearest : statements.selection.abs_top_k_nearest.
Proof.
move=> R k n u z sz; pose T := [pred i | (rank (fun j => `|u j|%R) i < k)%N].
pose Z := [pred i | z i != 0]; have [t [t0 inT outT tT]] := threshold k u.
apply: (@le_trans _ _ (\sum_i u i ^+ 2 - \sum_(i | Z i) u i ^+ 2)); last first.
  rewrite square_sum [X in _ - X]big_mkcond -sumrB; apply: ler_sum => i _ /=; rewrite /minus.
  by case: eqP => [->|_] /=; rewrite ?subr0 ?subrr ?sqr_ge0.
rewrite (left_out u T) ler_sub //.
have termwise : \sum_(i | Z i) (u i ^+ 2 - t) <= \sum_(i | T i) (u i ^+ 2 - t).
  rewrite [X in X <= _]big_mkcond [X in _ <= X]big_mkcond; apply: ler_sum => i _.
  case Ti : (T i); first by case: ifP => // _; rewrite subr_ge0 inT.
  by case: ifP => // _; rewrite subr_le0 outT ?Ti.
move: termwise; rewrite !sumrB !sumr_const -subr_ge0 => termwise; rewrite -subr_ge0.
apply: (le_trans termwise); rewrite -subr_ge0.
set A := \sum_(i | T i) _; set B := \sum_(i | Z i) _.
rewrite (_ : _ - _ = t *+ #|T| - t *+ #|Z|); last first.
  by rewrite -[t *+ #|T|]mulr_natr -[t *+ #|Z|]mulr_natr; ring.
rewrite subr_ge0; case: tT => [->|kT]; first by rewrite !mul0rn.
by apply: ler_wpmuln2l => //; apply: leq_trans kT.
Qed.

Lemma positive_part (R : realFieldType) (v : R) :
  [/\ 0 <= Num.max v 0, 0 <= Num.max v 0 - v & Num.max v 0 * (Num.max v 0 - v) = 0].
Proof.
case: (leP v 0) => v0; first by rewrite !sub0r oppr_ge0 mul0r.
by rewrite (ltW v0) subrr mulr0.
Qed.

Theorem top_k_nearest : statements.selection.top_k_nearest.
Proof.
move=> R k n u z sz z0; pose p i := Num.max (u i) 0.
have near := abs_top_k_nearest p sz.
pose rest := \sum_i (p i - u i) ^+ 2.
apply: (@le_trans _ _ (square (minus p (abs_top_k p k)) + rest)).
  rewrite !square_sum -big_split; apply: ler_sum => i _ /=.
  rewrite /minus /top_k /abs_top_k -/p; have [_ _ e] := positive_part (u i); rewrite -/(p i) in e.
  case: ifP => _; last first.
    rewrite !subr0 (_ : p i ^+ 2 + (p i - u i) ^+ 2 = u i ^+ 2 + 2%:R * (p i * (p i - u i))); last by ring.
    by rewrite e mulr0 addr0.
  by rewrite subrr expr0n add0r -sqrrN opprB.
apply: (@le_trans _ _ (square (minus p z) + rest)); first by rewrite ler_add2r.
rewrite !square_sum -big_split; apply: ler_sum => i _ /=; rewrite /minus.
have [_ q e] := positive_part (u i); rewrite -/(p i) in q e.
have -> : (u i - z i) ^+ 2 = (p i - z i) ^+ 2 + (p i - u i) ^+ 2
    + (2%:R * (z i * (p i - u i)) - 2%:R * (p i * (p i - u i))) by ring.
by rewrite e mulr0 subr0 ler_addl; apply: mulr_ge0; [exact: ler0n | apply: mulr_ge0].
Qed.

Lemma eq_rank (R R' : realFieldType) n (s : 'I_n -> R) (s' : 'I_n -> R') :
  (forall i j, (s i <= s j) = (s' i <= s' j)) -> rank s =1 rank s'.
Proof.
move=> e i; apply: eq_card => j; rewrite !inE; case: (j != i) => //=.
by rewrite e !ltNge e.
Qed.

Theorem abs_top_k_scaled : statements.selection.abs_top_k_scaled.
Proof.
move=> R k n u c i; have [->|c0] := eqVneq c 0.
  by rewrite /abs_top_k !mul0r if_same.
rewrite /abs_top_k (@eq_rank _ R _ _ (fun j => `|u j|)); first by case: ifP => _; rewrite ?mulr0.
by move=> a b; rewrite !normrM ler_pmul2l // normr_gt0.
Qed.

Theorem abs_top_k_signs : statements.selection.abs_top_k_signs.
Proof.
move=> R k n u s i.
rewrite /abs_top_k (@eq_rank _ R _ _ (fun j => `|u j|)); first by case: ifP => _; rewrite ?mulr0.
have e j : `|sign R (s j) * u j| = `|u j|.
  by rewrite normrM /sign; case: (s j); rewrite ?normrN1 ?normr1 mul1r.
by move=> a b; rewrite !e.
Qed.

Theorem abs_top_k_twice : statements.selection.abs_top_k_twice.
Proof.
move=> R k n u i; rewrite {1}/abs_top_k; case: ifP => // far.
have sub : abs_top_k u k i = 0 \/ (rank (fun j => `|abs_top_k u k j|%R) i <= rank (fun j => `|u j|%R) i)%N.
  rewrite {1}/abs_top_k; case: ifP => kept; last by left.
  right; apply: subset_leq_card; apply/subsetP => j; rewrite !inE => /andP [ji b]; rewrite ji /=.
  move: b; rewrite /abs_top_k kept; case: (rank _ j < k)%N => //.
  rewrite normr0; case: ifP => _ ui; first exact: le_trans ui (normr_ge0 _).
  exact: lt_le_trans ui (normr_ge0 _).
case: sub => [-> //|le]; rewrite {1}/abs_top_k; case: ifP => // kept.
by move: far; rewrite (leq_ltn_trans le kept).
Qed.

Lemma soft_gap (R : realFieldType) (u z lam s : R) : 0 <= lam -> s = soft_threshold u lam ->
  (s - u) ^+ 2 / 2%:R + lam * `|s| + (z - s) ^+ 2 / 2%:R <= (z - u) ^+ 2 / 2%:R + lam * `|z|.
Proof.
move=> l0 es; rewrite -subr_ge0.
have -> : (z - u) ^+ 2 / 2%:R + lam * `|z| - ((s - u) ^+ 2 / 2%:R + lam * `|s| + (z - s) ^+ 2 / 2%:R)
    = lam * `|z| - lam * `|s| + (z - s) * (s - u).
  by move: `|z| `|s| => a b; field.
have up := ler_norm z; have down : - z <= `|z| by rewrite -normrN ler_norm.
rewrite es /soft_threshold; case: (leP (u - lam) 0) => a; case: (leP (- u - lam) 0) => b.
- rewrite subrr normr0 mulr0 !subr0 sub0r mulrN subr_ge0.
  apply: (le_trans (ler_norm _)); rewrite normrM mulrC; apply: ler_wpmul2r => //.
  rewrite subr_le0 in a; rewrite subr_le0 in b.
  by rewrite ler_norml a andbT -(opprK u) ler_opp2.
- have neg : u + lam < 0 by rewrite -oppr_gt0 opprD.
  rewrite sub0r opprB opprK (_ : lam + u = u + lam); last by rewrite addrC.
  rewrite (ltr0_norm neg).
  have -> : lam * `|z| - lam * - (u + lam) + (z - (u + lam)) * (u + lam - u) = lam * (`|z| + z).
    by move: `|z| => t; ring.
  by apply: mulr_ge0; rewrite // -ler_subl_addr sub0r.
- rewrite subr0 (gtr0_norm a).
  have -> : lam * `|z| - lam * (u - lam) + (z - (u - lam)) * (u - lam - u) = lam * (`|z| - z).
    by move: `|z| => t; ring.
  by apply: mulr_ge0; rewrite // subr_ge0.
- have := addr_gt0 a b; have -> : u - lam + (- u - lam) = - (2%:R * lam) by ring.
  by rewrite oppr_gt0 ltNge mulr_ge0 ?ler0n.
Qed.

Lemma summed (R : realFieldType) n (u z s : 'I_n -> R) lam :
  (forall i, (s i - u i) ^+ 2 / 2%:R + lam * `|s i| + (z i - s i) ^+ 2 / 2%:R
    <= (z i - u i) ^+ 2 / 2%:R + lam * `|z i|) ->
  square (minus s u) / 2%:R + lam * l1 s + square (minus z s) / 2%:R <= square (minus z u) / 2%:R + lam * l1 z.
Proof.
move=> each; rewrite !square_sum /l1 !mulr_suml !mulr_sumr -!big_split /=.
by apply: ler_sum => i _; apply: each.
Qed.

Theorem soft_threshold_nearest : statements.selection.soft_threshold_nearest.
Proof. by move=> R n u z lam l0 s e; apply: summed => i; apply: soft_gap. Qed.

Theorem shifted_relu_nearest : statements.selection.shifted_relu_nearest.
Proof.
move=> R n u z lam l0 z0 s e; apply: summed => i; rewrite -subr_ge0 (ger0_norm (z0 i)).
have s0 : 0 <= s i by rewrite e /shifted_relu; case: (leP (u i - lam) 0) => // /ltW.
rewrite (ger0_norm s0).
have -> : (z i - u i) ^+ 2 / 2%:R + lam * z i - ((s i - u i) ^+ 2 / 2%:R + lam * s i + (z i - s i) ^+ 2 / 2%:R)
    = (z i - s i) * (s i - (u i - lam)) by field.
rewrite e /shifted_relu; case: (leP (u i - lam) 0) => a; last by rewrite subrr mulr0.
by rewrite subr0 sub0r mulr_ge0 // oppr_ge0.
Qed.

Lemma orthonormal_energy (R : realFieldType) n d (z : 'I_n -> R) (W : 'I_n -> 'I_d -> R) :
  orthonormal W -> square (combine z W) = square z.
Proof.
case=> u o; apply/eqP; rewrite -subr_eq0 interference_identity //.
by apply/eqP; apply: big1 => i _; apply: big1 => j ji; rewrite o ?mulr0 // eq_sym.
Qed.

Theorem order_of_errors : statements.selection.order_of_errors.
Proof.
move=> R n d z W x o u; rewrite square_minus (orthonormal_energy z o).
have -> : dot x (combine z W) = dot u z.
  rewrite dotC dot_combine; transitivity (\sum_i u i * z i) => //.
  by apply: eq_bigr => i _; rewrite mulrC dotC.
by rewrite square_minus; ring.
Qed.

Theorem orthonormal_best : statements.selection.orthonormal_best.
Proof.
by move=> R k n d z W x o sz; rewrite !order_of_errors // ler_add2l; apply: abs_top_k_nearest.
Qed.

Theorem one_step_bias : statements.selection.one_step_bias.
Proof.
move=> R n d h V mu i u c; rewrite dot_combine (bigD1 i) //= [dot _ _]u mulr1 addrAC subrr add0r.
rewrite /l1 [X in _ * (X - _)](bigD1 i) //= addrAC subrr add0r mulr_sumr.
apply: (le_trans (ler_norm_sum _ _ _)); apply: ler_sum => j ji; rewrite normrM mulrC.
by apply: ler_wpmul2r => //; apply: c.
Qed.

(* the pass over the list keeps: best is the first nearest of what was seen *)
Lemma nearest_from_first (R : realFieldType) (rest seen : seq R) tau best :
  (0 < best <= size seen)%N ->
  let gap j := `|nth 0 (seen ++ rest) j - tau| in
  (forall j, (j < size seen)%N -> gap best.-1 <= gap j) ->
  (forall j, (j < best.-1)%N -> gap best.-1 < gap j) ->
  let k := nearest_from rest tau (size seen).+1 best (gap best.-1) in
  [/\ (0 < k <= size (seen ++ rest))%N, forall j, (j < size (seen ++ rest))%N -> gap k.-1 <= gap j
    & forall j, (j < k.-1)%N -> gap k.-1 < gap j].
Proof.
elim: rest seen best => [|c rest IH] seen best b gap least first /=; first by rewrite cats0 in gap least first *; split.
have split_at : seen ++ c :: rest = rcons seen c ++ rest by rewrite cat_rcons.
have gap_c : gap (size seen) = `|c - tau| by rewrite /gap nth_cat ltnn subnn.
case: ifP => closer; have := IH (rcons seen c); rewrite size_rcons -split_at -/gap => IHc.
- rewrite -gap_c; apply: (IHc (size seen).+1) => [|j|j] /=; first by rewrite leqnn.
    rewrite ltnS leq_eqVlt => /orP [/eqP -> //|j_in].
    by rewrite gap_c; apply: le_trans (ltW closer) (least j j_in).
  by move=> j_in; rewrite gap_c; apply: lt_le_trans closer (least j j_in).
- apply: IHc => [|j|//].
    by case/andP: b => -> /=; apply: leqW.
  rewrite ltnS leq_eqVlt => /orP [/eqP ->|j_in]; last exact: least.
  by rewrite gap_c leNgt closer.
Qed.

Theorem nearest_prefix_first : statements.selection.nearest_prefix_first.
Proof.
move=> R first rest tau norms k.
by apply: (@nearest_from_first R rest [:: first] tau 1) => // -[].
Qed.

Theorem sign_split : statements.selection.sign_split.
Proof.
move=> R z a b; rewrite /a /b; case: (leP z 0) => z0; case: (leP (- z) 0) => m0.
- by have -> : z = 0; [apply/eqP; rewrite eq_le z0 -oppr_le0 | split; rewrite ?subr0 ?expr0n ?addr0 ?mul0r].
- by split; rewrite ?sub0r ?opprK ?expr0n ?add0r ?sqrrN ?mul0r ?(ltW m0).
- by split; rewrite ?subr0 ?expr0n ?addr0 ?mulr0 ?(ltW z0).
- by move: m0; rewrite oppr_gt0 ltNge (ltW z0).
Qed.

Theorem trivial_optimum : statements.selection.trivial_optimum.
Proof.
move=> R n d A x parseval up down; split => [c|].
  rewrite /combine -sumrB; under eq_bigr => i _.
    rewrite -mulrBl; have [-> _ _ _ _] := sign_split (dot x (A i)).
    rewrite /dot mulr_suml; over.
  rewrite exchange_big (eq_bigr (fun a => x a * (a == c)%:R)) => [|a _].
    by rewrite (bigD1 c) //= eqxx mulr1 big1 ?addr0 // => a /negPf ->; rewrite mulr0.
  by rewrite -parseval mulr_sumr; apply: eq_bigr => i _; rewrite mulrA.
rewrite !square_sum -big_split; transitivity (\sum_i dot x (A i) ^+ 2).
  by apply: eq_bigr => i _; have [_ e _ _ _] := sign_split (dot x (A i)).
transitivity (\sum_i \sum_a \sum_b x a * x b * (A i a * A i b)).
  apply: eq_bigr => i _; rewrite expr2 /dot product_of_sums.
  by apply: eq_bigr => a _; apply: eq_bigr => b _; ring.
rewrite exchange_big; apply: eq_bigr => a _; rewrite exchange_big /=.
rewrite (eq_bigr (fun b => x a * x b * (a == b)%:R)) => [|b _]; last by rewrite -mulr_sumr parseval.
rewrite (bigD1 a) //= eqxx mulr1 big1 ?addr0 ?expr2 // => b ba.
by rewrite eq_sym (negPf ba) mulr0.
Qed.

Section Roles.
Variables (n q : nat) (role : 'I_n -> 'I_q) (c : nat).
Let group r := [set i | role i == r].

Lemma subsets_of r : #|[set A : {set 'I_n} | (#|A| == c) && (A \subset group r)]| = 'C(#|group r|, c).
Proof. by rewrite -cards_draws; apply: eq_card => A; rewrite !inE andbC. Qed.

Lemma one_at_most (A : {set 'I_n}) :
  (0 < #|A|)%N -> (\sum_r (A \subset group r) = [exists r, A \subset group r])%N.
Proof.
case/card_gt0P => x xA.
have own r : A \subset group r -> r = role x by move=> /subsetP /(_ _ xA); rewrite inE => /eqP.
rewrite (bigD1 (role x)) //= big1 ?addn0.
  by congr nat_of_bool; apply/idP/existsP => [s|[r s]]; [exists (role x)|rewrite -(own r s)].
by move=> r /negbTE other; case s: (A \subset group r) => //; rewrite (own r s) eqxx in other.
Qed.

Lemma all_of_one : (0 < c)%N ->
  (#|[set A : {set 'I_n} | (#|A| == c) && [exists r, A \subset group r]]| = \sum_r 'C(#|group r|, c))%N.
Proof.
move=> c0; transitivity (\sum_(A : {set 'I_n} | #|A| == c) \sum_r (A \subset group r))%N.
  rewrite -sum1dep_card big_mkcondr /=; apply: eq_bigr => A /eqP cA.
  by rewrite one_at_most ?cA //; case: [exists r, _].
rewrite exchange_big; apply: eq_bigr => r _; rewrite -subsets_of -sum1dep_card big_mkcondr /=.
by apply: eq_bigr => A _; case: (A \subset group r).
Qed.
End Roles.

Theorem of_one_role : statements.selection.of_one_role.
Proof.
move=> n q role c c0 /=; split; [exact: all_of_one|exact: subsets_of|].
by rewrite -[in RHS](card_ord n) -cardsT -cards_draws; apply: eq_card => A; rewrite !inE subsetT.
Qed.
