"""Lighthouse attention in other libraries. Each module needs its library; none is imported by lighthouse_attention itself."""
