"""What the user declared and everything that follows from it: pure data and pure functions, no Pulumi, no clusters."""
