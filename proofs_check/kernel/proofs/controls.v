From mathcomp Require Import all_ssreflect all_algebra ring.
From Kernel Require Import vocabulary proofs.basics proofs.coherence.
From Kernel Require statements.controls.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Lemma one_entry (F : 'I_1 -> rat) : \sum_i F i = F 0.
Proof. by rewrite big_ord_recl big_ord0 addr0. Qed.

Lemma no_pairs (h : 'I_1 -> rat) (V : 'I_1 -> 'I_1 -> rat) : interference h V = 0.
Proof. by apply: big1 => i _; apply: big1 => j; rewrite !ord1. Qed.

Theorem count_form_needs_sign : statements.controls.count_form_needs_sign.
Proof.
move=> claim; have := claim 2%N 1%N 1%N (fun=> 1) (fun=> fun=> 1) (-1).
rewrite no_pairs normr0 /square /dot one_entry mulr1 => bad.
suff : (0 : rat) <= -1 * (2%:R - 1) * 1 by [].
apply: bad; first by move=> i j; rewrite !ord1.
by rewrite /sparse /count; apply: leq_trans (max_card _) _; rewrite card_ord.
Qed.

Theorem identity_needs_unit_rows : statements.controls.identity_needs_unit_rows.
Proof.
move=> claim; have := claim 1%N 1%N (fun=> 1) (fun=> fun=> 2%:R).
by rewrite no_pairs /square /dot /combine !one_entry.
Qed.

Theorem nearest_needs_sparsity : statements.controls.nearest_needs_sparsity.
Proof.
move=> claim; have := claim 0%N 1%N (fun=> 1) (fun=> 1).
by rewrite /square /dot /minus !one_entry /abs_top_k ltn0.
Qed.

Theorem fall_needs_unit_rows : statements.controls.fall_needs_unit_rows.
Proof.
move=> claim; have := claim 1%N (fun=> 1) (fun=> 2%:R).
by rewrite /square /dot !one_entry.
Qed.

Theorem unit_rows_exist : statements.controls.unit_rows_exist.
Proof.
move=> n mu mu0; pose V (i c : 'I_n) : rat := (c == i)%:R; exists V.
have e i j : dot (V i) (V j) = (i == j)%:R.
  rewrite /dot (bigD1 i) //= /V eqxx mul1r big1 ?addr0 // => c /negPf ->; exact: mul0r.
have u : unit_rows V by move=> i; rewrite /square e eqxx.
by split=> //; [move=> i j /negPf ij; rewrite e ij normr0 | split=> // i j /negPf ij; rewrite e ij].
Qed.

Theorem overlapping_rows_exist : statements.controls.overlapping_rows_exist.
Proof.
pose V (i c : 'I_2) : rat := if i == 0 then (c == 0)%:R else if c == 0 then 3%:R / 5%:R else 4%:R / 5%:R.
exists V; have two (F : 'I_2 -> rat) : \sum_i F i = F 0 + F 1.
  by rewrite big_ord_recl big_ord_recl big_ord0 addr0; congr (_ + F _); apply/val_inj.
split=> //.
- by move=> i; rewrite /square /dot two; case: i => [[|[]]].
- by move=> i j ij; rewrite /dot two; case: i ij => [[|[]]] //= ? ; case: j => [[|[]]].
- by rewrite /dot two.
Qed.
