"""``python -m counterfoil``."""

from counterfoil.cli import main

main()
