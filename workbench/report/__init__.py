"""Figures: functions of a run's table alone."""
