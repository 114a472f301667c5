// Nothing: the target needs a source file for its precompiled header.
