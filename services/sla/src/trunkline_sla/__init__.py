"""Clocks and timers: before and when a promise breaks."""
