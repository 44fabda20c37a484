"""Published networks that ours are measured against, each with the preprocessing that it was published with."""
