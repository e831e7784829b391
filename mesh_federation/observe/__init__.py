"""Reading the Istio of others: what a plan must know of it, with get and list alone, and never a Secret."""
