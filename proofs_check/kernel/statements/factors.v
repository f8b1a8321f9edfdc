(* Factorisations, least squares, products of latents, heads. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Kernel Require Import vocabulary.
Set Implicit Arguments.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* I + t y 1^T has the inverse I - t y 1^T / (1 + t sum y). *)
Definition lift_inverse := forall (R : realFieldType) n (y : 'I_n -> R) t,
  1 + t * (\sum_i y i) != 0 ->
  forall i j, product (lift y t) (lift y (- t / (1 + t * \sum_i y i))) i j = (i == j)%:R.

(* Layers of codes of no negative entry are one: the product is associative, and has no negative entry. *)
Definition layers_are_one := forall (R : realFieldType) a b c d
    (F : 'I_a -> 'I_b -> R) (G : 'I_b -> 'I_c -> R) (W : 'I_c -> 'I_d -> R),
  (forall i j, product F (product G W) i j = product (product F G) W i j)
  /\ ((forall i j, 0 <= F i j) -> (forall i j, 0 <= G i j) -> forall i j, 0 <= product F G i j).

(* Codes f_j / c_j with rows c_j w_j have the same product. *)
Definition scale_gauge := forall (R : realFieldType) N m d (F : 'I_N -> 'I_m -> R) (W : 'I_m -> 'I_d -> R) (s : 'I_m -> R),
  (forall j, s j != 0) ->
  forall i c, product (fun i j => F i j / s j) (fun j c => s j * W j c) i c = product F W i c.

(* Codes f_q + a f_p for f_q with rows w_p - a w_q for w_p have the same product. *)
Definition shear_gauge := forall (R : realFieldType) N m d (F : 'I_N -> 'I_m -> R) (W : 'I_m -> 'I_d -> R) p q a,
  p != q ->
  forall i c,
    product (fun i j => F i j + (j == q)%:R * (a * F i p)) (fun j c => W j c - (j == p)%:R * (a * W q c)) i c
    = product F W i c.

(* Where the residual of w is at right angles to every row allowed, any other v with these rows has |(v - w)F|^2 more. *)
Definition least_squares := forall (R : realFieldType) m N (F : 'I_m -> 'I_N -> R) (y : 'I_N -> R) (v w : 'I_m -> R) (allowed : pred 'I_m),
  (forall j, ~~ allowed j -> v j = 0) -> (forall j, ~~ allowed j -> w j = 0) ->
  (forall j, allowed j -> dot (F j) (minus y (combine w F)) = 0) ->
  square (minus y (combine v F)) = square (minus y (combine w F)) + square (combine (minus v w) F).

(* The dual encoder reads the code: B G = 1 for the Gram matrix G gives B <hV, v_j> = h. *)
Definition dual_code := forall (R : realFieldType) n d (h : 'I_n -> R) (V : 'I_n -> 'I_d -> R) (B : 'I_n -> 'I_n -> R),
  (forall i j, \sum_k B i k * dot (V k) (V j) = (i == j)%:R) ->
  forall i, \sum_k B i k * dot (V k) (combine h V) = h i.

(* p1^2 - p2 holds products of different latents alone. *)
Definition pure_square := forall (R : realFieldType) n (a : 'I_n -> R),
  (\sum_i a i) ^+ 2 - \sum_i a i ^+ 2 = \sum_i \sum_(j | j != i) a i * a j.

(* A prefix's next latent takes f (2 <r, d> - f |d|^2) off the squared error. *)
Definition prefix_drop := forall (R : realFieldType) d (r w : 'I_d -> R) f,
  square r - square (fun c => r c - f * w c) = f * (2%:R * dot w r - f * square w).

(* A mixture of data has |d|^2 = sum a_n |x_n|^2 - sum a_n |x_n - d|^2. *)
Definition hull_spread := forall (R : realFieldType) n d (a : 'I_n -> R) (x : 'I_n -> 'I_d -> R),
  \sum_i a i = 1 ->
  square (combine a x) = \sum_i a i * square (x i) - \sum_i a i * square (minus (x i) (combine a x)).

(* So a mixture of data is no longer than the longest of them. *)
Definition hull_bound := forall (R : realFieldType) n d (a : 'I_n -> R) (x : 'I_n -> 'I_d -> R) longest,
  \sum_i a i = 1 -> (forall i, 0 <= a i) -> (forall i, square (x i) <= longest) ->
  square (combine a x) <= longest.

(* What heads and sources write sums to the pre-activation: <sum_s A_s v_s, w> = sum_s A_s <v_s, w>. *)
Definition attribution_complete := forall (R : realFieldType) H S d (A : 'I_H -> 'I_S -> R) (v : 'I_H -> 'I_S -> 'I_d -> R) (w : 'I_H -> 'I_d -> R),
  \sum_h dot (combine (A h) (v h)) (w h) = \sum_h \sum_s A h s * dot (v h s) (w h).

(* For rows whose products are those of an orthogonal matrix |rW| is |r|. *)
Definition orthogonal_outputs := forall (R : realFieldType) n d (r : 'I_n -> R) (W : 'I_n -> 'I_d -> R),
  orthonormal W -> square (combine r W) = square r.
