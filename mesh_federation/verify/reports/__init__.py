"""What a verification tells: one report, written for people and for programs."""
