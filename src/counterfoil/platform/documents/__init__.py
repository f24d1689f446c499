"""Documents as PDF: Typst templates beside this file, filled with plain values.

A document is the same to the byte whenever the same values are rendered at the same instant, by the same version. The
fonts are ours (``fonts/``, with their licence); what the machine has installed plays no part, and nothing is fetched.
"""

from counterfoil.platform.documents.pictures import MIME, as_svg, printable_picture
from counterfoil.platform.documents.rendering import Template, Unprintable, render_pdf, render_png

__all__ = ["MIME", "Template", "Unprintable", "as_svg", "printable_picture", "render_pdf", "render_png"]
