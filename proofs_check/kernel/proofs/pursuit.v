From mathcomp Require Import all_ssreflect all_algebra ring.
From Kernel Require Import vocabulary proofs.basics proofs.coherence proofs.selection.
From Kernel Require statements.pursuit.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Theorem energy_after : statements.pursuit.energy_after.
Proof. by move=> R d r w; rewrite square_axpy; ring. Qed.

Theorem product_after : statements.pursuit.product_after.
Proof.
move=> R d r w v.
have e y : dot y (fun c => r c - dot w r * w c) = dot y r - dot w r * dot y w.
  by move: (dot w r) => a; rewrite /dot mulr_sumr -sumrB; apply: eq_bigr => c _ /=; ring.
by split=> // u; rewrite e [dot w w]u mulr1 subrr.
Qed.

Theorem energy_left : statements.pursuit.energy_left.
Proof.
move=> R d picks; elim: picks => [|w rest IH] x u /=; first by rewrite subr0.
rewrite IH => [|t t_in]; last exact: (u t.+1).
by rewrite energy_after (u 0%N) //=; ring.
Qed.

Theorem rate_of_convergence : statements.pursuit.rate_of_convergence.
Proof.
move=> R d picks; elim: picks => [|w rest IH] x g /andP [g0 g1] u share /=; first by rewrite expr0 mul1r.
apply: (le_trans (IH _ g _ _ _)); first by rewrite g0.
- by move=> t t_in; apply: (u t.+1).
- by move=> t t_in; apply: (share t.+1).
rewrite exprSr -mulrA; apply: ler_wpmul2l; first by rewrite exprn_ge0 // subr_ge0.
rewrite energy_after (u 0%N) //= (_ : 2%:R - 1 = 1 :> R); last by ring.
by rewrite mulr1 mulrBl mul1r ler_sub //; have := share 0%N; apply.
Qed.

Theorem one_step_support : statements.pursuit.one_step_support.
Proof.
move=> R n d h V mu i j u c small hj.
have near := one_step_bias h i u c; have far := one_step_bias h j u c.
rewrite hj subr0 normr0 subr0 in far; apply: (le_lt_trans far).
rewrite ltNge; apply/negP => short.
have : `|h i| <= mu * l1 h + mu * (l1 h - `|h i|).
  apply: (@le_trans _ _ (`|dot (combine h V) (V i)| + `|h i - dot (combine h V) (V i)|)).
    by rewrite -{1}[h i](subrK (dot (combine h V) (V i))) addrC; apply: ler_norm_add.
  by apply: ler_add => //; rewrite distrC.
rewrite leNgt => /negP; apply.
rewrite -subr_gt0; rewrite -subr_gt0 in small; apply: (lt_le_trans small).
by move: `|h i| => t; rewrite le_eqVlt; apply/orP; left; apply/eqP; ring.
Qed.

Theorem exact_recovery : statements.pursuit.exact_recovery.
Proof.
move=> R k n d h V mu i0 u c mu0 small s h0.
case: (@arg_maxP _ _ _ i0 xpredT (fun i => `|h i|) isT) => m _ largest.
have m0 : 0 < `|h m| by apply: lt_le_trans (largest i0 isT); rewrite normr_gt0.
exists m; first by rewrite -normr_gt0.
move=> j hj; apply: (one_step_support u c _ hj).
have l1m : l1 h <= k%:R * `|h m|.
  rewrite /l1 (bigID (fun i => h i != 0)) /= [X in _ + X]big1 ?addr0; last first.
    by move=> i; rewrite negbK => /eqP ->; rewrite normr0.
  apply: (@le_trans _ _ (\sum_(i | h i != 0) `|h m|)); first by apply: ler_sum => i _; apply: largest.
  by rewrite sumr_const -[`|h m| *+ _]mulr_natl; apply: ler_wpmul2r; rewrite ?ler_nat.
apply: (@le_lt_trans _ _ ((2 * k)%:R * mu * `|h m|)); last by rewrite ltr_pmul2r.
have -> : (2 * k)%:R * mu * `|h m| = 2%:R * mu * (k%:R * `|h m|) by rewrite natrM; move: `|h m| => t; ring.
by apply: ler_wpmul2l => //; apply: mulr_ge0; rewrite ?ler0n.
Qed.
