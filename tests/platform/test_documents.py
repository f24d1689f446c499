"""Invoices and statements on paper: right values, the same bytes again, PDF/A, nothing of the text becomes mark-up."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest
from pypdf import PdfReader

from counterfoil.billing.paper import invoice_pages, invoice_pdf, invoice_values, statement_pdf, statement_values
from counterfoil.billing.printing import (
    BlockBalance,
    Group,
    OpenItem,
    Party,
    PrintedInvoice,
    PrintedLine,
    PrintedStatement,
    PrintedTax,
    Sender,
    Settlement,
)
from counterfoil.core.calendar import Period
from counterfoil.platform.documents import Template, Unprintable, printable_picture, render_pdf
from counterfoil.platform.documents.coverage import BOX, FONTS, characters_of, printable_text

CLOSED = datetime(2019, 4, 1, 9, 30, tzinfo=UTC)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><rect width="20" height="10" fill="#0b5d66"/></svg>'
NORTHWIND = Sender(
    "Northwind IT LLC",
    ("400 Renaissance Center", "Detroit, MI 48243"),
    logo=SVG,
    logo_type="svg",
    remit_to="ACH: routing 072000326, account 4411223344",
    footer="Federal tax ID 38-1234567",
)
#: 16 × 8 grey pixels.
JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/wAALCAAIABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAH/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/AKP/2Q=="
)
ACME = Party("Acme Corp", ("1 Main St", "Detroit, MI 48226"))
APRIL = Period(date(2019, 4, 1), date(2019, 5, 1))

#: WE-2: two units for all of April, two more from 15 March on; work with three of five hours covered, and some covered
#: whole.
LINES = (
    PrintedLine(Group.RECURRING, "Managed workstation", D(2), D("22.00"), D("44.00"), taxable=True),
    PrintedLine(
        Group.RECURRING, "Managed workstation", D(2), D("34.06"), D("68.12"), taxable=True,
        explanation="17 of 31 days, 15–31 Mar 2019, and all of Apr 2019\nprorated with a start date of 3/15/2019",
    ),
    PrintedLine(
        Group.SERVICES, "Mail server migration", D(5), D(100), D(200), unit="h", taxable=True,
        covered_quantity=D(3), covered_amount=D(300), start=date(2019, 3, 12), detail="J. Doe",
    ),
    PrintedLine(
        Group.SERVICES, "Password reset", D("0.5"), D(100), D(0), unit="h",
        covered_quantity=D("0.5"), covered_amount=D(50), start=date(2019, 3, 14),
    ),
)  # fmt: skip


def invoice(**changed: object) -> PrintedInvoice:
    """An April invoice of 312.12, at 6 % 18.73 tax."""
    printed = PrintedInvoice(
        type="agreement", number="I-0042", sender=NORTHWIND, bill_to=ACME,
        date=date(2019, 4, 1), due_date=date(2019, 5, 1), lines=LINES,
        subtotal=D("312.12"), tax_total=D("18.73"), total=D("330.85"), balance=D("330.85"),
        taxes=(PrintedTax("Michigan", D("0.06"), D("312.12"), D("18.73")),),
        ship_to=Party("Acme Corp, Warehouse", ("99 Dock Rd", "Toledo, OH 43604")),
        terms="Net 30", customer_po="PO-7781", agreement="A-0007 Managed services", period=APRIL,
    )  # fmt: skip
    return replace(printed, **changed)  # type: ignore[arg-type]


def reader(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


def pages_of(pdf: bytes) -> list[str]:
    """What one can select and copy on each page, line by line, with single spaces."""
    pages = (page.extract_text(extraction_mode="layout") for page in reader(pdf).pages)
    return [re.sub(r"[ \t]+", " ", page) for page in pages]


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x80" * width) * height
    head = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_same_invoice_is_the_same_file_to_the_byte() -> None:
    assert invoice_pdf(invoice(), timestamp=CLOSED) == invoice_pdf(invoice(), timestamp=CLOSED)
    assert invoice_pdf(invoice(), timestamp=CLOSED) != invoice_pdf(invoice(), timestamp=CLOSED + timedelta(days=1))


def test_an_invoice_closed_within_a_second_is_dated_on_the_second() -> None:
    within = CLOSED.replace(microsecond=123_456)
    assert invoice_pdf(invoice(), timestamp=within) == invoice_pdf(invoice(), timestamp=CLOSED)


def test_another_process_makes_the_same_file() -> None:
    here = invoice_pdf(invoice(), timestamp=CLOSED)
    program = (
        "import sys, django; django.setup()\n"
        "from tests.platform.test_documents import CLOSED, invoice, invoice_pdf\n"
        "sys.stdout.buffer.write(invoice_pdf(invoice(), timestamp=CLOSED))"
    )
    root = Path(__file__).resolve().parents[2]
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=root)
    assert there.stdout == here


def test_it_is_pdf_a_3b_with_its_fonts_inside_and_a_title() -> None:
    pdf = reader(invoice_pdf(invoice(), timestamp=CLOSED))
    root, metadata, described = pdf.trailer["/Root"], pdf.xmp_metadata, pdf.metadata
    assert metadata is not None
    assert described is not None
    assert (metadata.pdfaid_part, metadata.pdfaid_conformance) == ("3", "B")
    assert metadata.dc_title == {"x-default": "Invoice I-0042"}
    assert (described.author, described.creation_date) == ("Northwind IT LLC", CLOSED)
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert root["/Lang"].lower().startswith("en")
    assert "/StructTreeRoot" in root
    assert "/Names" not in root
    fonts = [font.get_object() for page in pdf.pages for font in page["/Resources"]["/Font"].values()]
    assert {font["/BaseFont"].rpartition("+")[2] for font in fonts} == {"Inter-Regular", "Inter-SemiBold"}
    for font in fonts:
        assert "/FontFile2" in font["/DescendantFonts"][0].get_object()["/FontDescriptor"]


def test_what_is_installed_on_the_machine_plays_no_part() -> None:
    families = {font.name for font in FONTS.glob("*.ttf")}
    assert families == {"Inter-Regular.ttf", "Inter-SemiBold.ttf"}
    assert "SIL Open Font License" in (FONTS / "OFL.txt").read_text(encoding="utf-8")


def test_a_document_wants_an_aware_instant() -> None:
    with pytest.raises(ValueError, match="aware"):
        invoice_pdf(invoice(), timestamp=datetime(2019, 4, 1))


# -- what stands on an invoice -----------------------------------------------------------------------------------------


def test_an_invoice_says_what_is_billed_to_whom_and_how_it_came_to_be() -> None:
    (page,) = pages_of(invoice_pdf(invoice(), timestamp=CLOSED))
    for words in (
        "Northwind IT LLC", "Invoice", "I-0042", "Acme Corp", "1 Main St", "Acme Corp, Warehouse", "Toledo, OH 43604",
        "Date 1 Apr 2019", "Due 1 May 2019", "Terms Net 30", "Your PO PO-7781", "Agreement A-0007 Managed services",
        "Period Apr 2019", "330.85 USD due by 1 May 2019", "Recurring services", "2 22.00 44.00", "2 34.06 68.12",
        "17 of 31 days, 15–31 Mar 2019, and all of Apr 2019", "prorated with a start date of 3/15/2019",
        "5 h 100.00 200.00", "12 Mar 2019 · 3 h covered by your agreement, worth 300.00; 2 h beyond it", "J. Doe",
        "Covered by your agreement", "14 Mar 2019 · covered, worth 50.00", "Subtotal 312.12",
        "Michigan 6% of 312.12 18.73", "Total 330.85", "Balance due 330.85 USD", "How to pay".upper(),
        "routing 072000326", "Federal tax ID 38-1234567", "1 of 1",
    ):  # fmt: skip
        assert words in page, words
    assert "DRAFT" not in page


def test_we_1_what_is_left_of_a_block_stands_on_the_invoice() -> None:
    block = BlockBalance("A-0003 Block hours", granted=D(10), left=D(7), unit="hours")
    (page,) = pages_of(invoice_pdf(invoice(blocks=(block,)), timestamp=CLOSED))
    assert "7 of 10 hours of A-0003 Block hours on 1 Apr 2019" in page


def test_lines_tell_whether_they_are_taxed_only_when_some_are_not() -> None:
    def marks(*taxable: bool) -> list[bool]:
        lines = tuple(replace(LINES[0], taxable=each) for each in taxable)
        return [
            row["taxable"]
            for group in invoice_values(invoice(lines=(*lines, LINES[3])))["groups"]
            for row in group["lines"]
        ]

    assert marks(True, True) == [False, False, False]
    assert marks(False, False) == [False, False, False]
    assert marks(True, False) == [True, False, False]
    (page,) = pages_of(invoice_pdf(invoice(lines=(LINES[0], replace(LINES[1], taxable=False))), timestamp=CLOSED))
    assert "T marks taxable lines." in page


def test_a_draft_is_marked_and_asks_for_nothing() -> None:
    (page,) = pages_of(invoice_pdf(invoice(number=None, is_draft=True), timestamp=CLOSED))
    assert "Not an invoice yet" in page
    assert "Balance due" not in page
    assert "ACH" not in page
    values = invoice_values(invoice(number=None, is_draft=True))
    assert (values["mark"], values["number"]) == ("DRAFT", "Draft")


def test_a_credit_memo_looks_like_one() -> None:
    memo = invoice(
        type="credit_memo", number="CM-0003", corrects="I-0042", ship_to=None, lines=(
            PrintedLine(Group.RECURRING, "Managed workstation", D(-2), D("22.00"), D("-44.00"), taxable=True),
        ),
        subtotal=D("-44.00"), tax_total=D("-2.64"), total=D("-46.64"), balance=D("-46.64"),
        taxes=(PrintedTax("Michigan", D("0.06"), D("-44.00"), D("-2.64")),),
    )  # fmt: skip
    (page,) = pages_of(invoice_pdf(memo, timestamp=CLOSED))
    for words in (
        "Credit memo", "CM-0003", "for invoice I-0042", "46.64 USD credited to your account", "(2) 22.00 (44.00)",
        "Michigan 6% of 44.00 2.64", "Total credit 46.64", "No payment is asked for",
    ):  # fmt: skip
        assert words in page, words
    for words in ("Due", "ACH", "Balance due"):
        assert words not in page, words


def test_a_copy_with_payments_says_through_when() -> None:
    paid = (Settlement("Paid 3 Apr 2019, check 1881", D("300.00")),)
    copy = invoice(settlements=paid, settled_on=date(2019, 4, 9), balance=D("30.85"))
    (page,) = pages_of(invoice_pdf(copy, timestamp=CLOSED))
    assert "Paid 3 Apr 2019, check 1881 (300.00)" in page
    assert "Copy with payments through 9 Apr 2019" in page
    assert "Balance due 30.85 USD" in page


def test_200_lines_run_over_pages_with_their_head_on_each() -> None:
    lines = tuple(
        PrintedLine(Group.PRODUCTS, f"Item {n:03}", D(n), D("1.00"), D(n), taxable=n % 2 == 0) for n in range(1, 201)
    )
    total = D(20_100)
    printed = invoice(lines=lines, subtotal=total, tax_total=D(0), total=total, balance=total, taxes=())
    pages = pages_of(invoice_pdf(printed, timestamp=CLOSED))
    assert len(pages) > 3
    assert [page.count("UNIT PRICE") for page in pages] == [1] * len(pages)
    for number, page in enumerate(pages, start=1):
        assert f"{number} of {len(pages)}" in page
    assert all("Invoice I-0042" in page for page in pages[1:])
    shown = re.findall(r"Item (\d{3})", "".join(pages))
    assert shown == [f"{n:03}" for n in range(1, 201)]
    assert "Balance due 20,100.00 USD" in pages[-1]


def test_a_page_shows_that_it_belongs_to_a_light_brand_colour_in_readable_ink() -> None:
    yellow = replace(NORTHWIND, colour="#ffe600", logo=b"", logo_type="", paper="a4")
    (page,) = reader(invoice_pdf(invoice(sender=yellow), timestamp=CLOSED)).pages
    assert [float(side) for side in page.mediabox[2:]] == pytest.approx([595.28, 841.89], abs=0.1)
    contents = page.get_contents()
    assert contents is not None
    colours = re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) (?:scn|rg)", contents.get_data())
    assert colours
    # Bright yellow is (1, 0.9, 0): nothing but near-white is that light.
    for red, green, blue in colours:
        lightest = 0.2126 * float(red) + 0.7152 * float(green) + 0.0722 * float(blue)
        assert lightest < 0.55 or min(float(red), float(green), float(blue)) > 0.8


# -- statement ---------------------------------------------------------------------------------------------------------


def item(number: str, day: date, due: date, amount: str, open_amount: str) -> OpenItem:
    late = (date(2019, 4, 15) - due).days
    return OpenItem(day, number, "Managed services", due, D(amount), D(open_amount), late)


def test_a_statement_tells_open_items_their_age_and_a_running_balance() -> None:
    statement = PrintedStatement(
        NORTHWIND, ACME, date(2019, 4, 15), account_number="ACME", terms="Net 30",
        items=(
            item("I-0001", date(2018, 12, 1), date(2018, 12, 31), "100.00", "40.00"),
            item("I-0002", date(2019, 2, 1), date(2019, 3, 16), "250.00", "250.00"),
            item("I-0003", date(2019, 4, 1), date(2019, 5, 1), "330.85", "330.85"),
            item("CM-0001", date(2019, 4, 10), date(2019, 4, 10), "-50.00", "-50.00"),
        ),
    )  # fmt: skip
    assert statement.ages == (D("330.85"), D("200.00"), D(0), D(0), D("40.00"))
    assert statement.balance == D("570.85")
    rows = [(row["number"], row["open"], row["balance"], row["late"]) for row in statement_values(statement)["items"]]
    assert rows == [
        ("I-0001", "40.00", "40.00", "105 days late"),
        ("I-0002", "250.00", "290.00", "30 days late"),
        ("I-0003", "330.85", "620.85", ""),
        ("CM-0001", "(50.00)", "570.85", ""),
    ]
    (page,) = pages_of(statement_pdf(statement, timestamp=CLOSED))
    for words in ("Statement", "15 Apr 2019", "Acme Corp", "570.85 USD", "105 days late", "Balance due 570.85", "ACH"):
        assert words in page, words


def test_a_statement_with_nothing_open_says_so() -> None:
    (page,) = pages_of(statement_pdf(PrintedStatement(NORTHWIND, ACME, date(2019, 4, 15), ()), timestamp=CLOSED))
    assert "Nothing is open" in page
    assert "ACH" not in page


# -- what people type --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        '#panic("no")', "#read(\"/etc/passwd\")", "$x^2$", "*bold* _it_ `raw`", "= Heading", "@label <label>",
        "\\u{41}", "//comment", "/* comment */", "[content]", "100 % {braces}", "~ -- --- ...", '"quotes"', "a\\\nb",
    ],
)  # fmt: skip
def test_no_text_becomes_mark_up(hostile: str) -> None:
    line = replace(LINES[0], description=f"A {hostile} Z", explanation=hostile)
    printed = invoice(
        lines=(line,), bill_to=Party(hostile, (hostile,)), customer_po=hostile, text=hostile,
        sender=replace(NORTHWIND, footer=hostile, remit_to=hostile, name=hostile),
    )  # fmt: skip
    page = "".join(pages_of(invoice_pdf(printed, timestamp=CLOSED)))
    flat = " ".join(page.split())
    for part in hostile.split("\n"):
        assert flat.count(" ".join(part.split())) >= 6, page


def test_a_name_in_any_script_is_printed_or_boxed_and_never_fails() -> None:
    names = (
        "Łódź Żółć GmbH",
        "Αθήνα ΑΕ",
        "Компания «Ё»",
        "Đặng Thị Hà",
        "株式会社",
        "🚀 Rockets",
        "شركة",
        "a\x00b\u202ec",
    )
    printed = invoice(bill_to=Party("; ".join(names)))
    (page,) = pages_of(invoice_pdf(printed, timestamp=CLOSED))
    for name in names[:4]:
        assert name in page.replace("\n", " "), name
    assert "株" not in page
    assert printable_text("🚀 Rockets") == f"{BOX} Rockets"
    assert printable_text("a\x00b\u202ec") == "abc"


def test_every_font_has_what_counts_as_printable() -> None:
    found = [characters_of(font.read_bytes()) for font in sorted(FONTS.glob("*.ttf"))]
    for needed in ("A–Z", "“”‘’…×€£·□", "ÄÖÜßÅØñçœ", "ΩЖ"):
        for character in needed:
            assert all(ord(character) in font for font in found), character
    assert all(ord("株") not in font for font in found)


def test_a_value_the_template_asks_for_and_does_not_get_is_said() -> None:
    with pytest.raises(Unprintable, match=r"key"):
        render_pdf(Template.INVOICE, {"title": "Invoice"}, timestamp=CLOSED)


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_png_jpeg_and_svg_are_taken_for_what_they_are() -> None:
    assert printable_picture(png(40, 20)) == "png"
    assert printable_picture(JPEG) == "jpg"
    assert printable_picture(SVG) == "svg"


@pytest.mark.parametrize(
    ("logo", "kind", "size"), [(png(60, 20), "png", (60, 20)), (JPEG, "jpg", (16, 8))], ids=["png", "jpg"]
)
def test_a_logo_of_pixels_is_printed(logo: bytes, kind: str, size: tuple[int, int]) -> None:
    sender = replace(NORTHWIND, logo=logo, logo_type=kind)
    pdf = invoice_pdf(invoice(sender=sender), timestamp=CLOSED)
    sizes = {
        tuple(map(int, found))
        for found in re.findall(rb"/Subtype/Image.{0,80}?/Width (\d+)/Height (\d+)", pdf, re.DOTALL)
    }
    assert sizes == {size}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GIF89a", "no PNG, JPEG or SVG"),
        (b"", "no PNG, JPEG or SVG"),
        (png(40, 20)[:60], "broken"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 40, "broken"),
        (b"\xff\xd8\xff\xe0\x00\x04ab", "broken"),
        (png(4001, 1), "pixels"),
        (b"<svg " + b" " * 500_000, "500 kB"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><rect</svg>", "broken"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "script"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>", "refers"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://a.example/x.png'/></svg>", "refers"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "refers"),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg xmlns='http://www.w3.org/2000/svg'>&a;</svg>", "document type"),
    ],
    ids=["gif", "empty", "cut png", "no header", "no frame", "huge", "heavy", "bad xml", "script", "file", "web",
         "event", "entity"],
)  # fmt: skip
def test_what_is_no_printable_picture_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(Unprintable, match=words):
        printable_picture(content)


def test_the_pages_can_be_had_as_pictures() -> None:
    (page,) = invoice_pages(invoice(), timestamp=CLOSED, ppi=40)
    assert page.startswith(b"\x89PNG")
