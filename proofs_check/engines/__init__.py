"""Engines that decide claims: exact algebra, nonlinear real arithmetic, ball arithmetic, directed sampling."""
