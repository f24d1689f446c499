"""The kinds of difference: what each means, what it holds unless a rule says otherwise, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of difference. ``holds`` names the documents it holds by default: ``p`` purchase order, ``b`` vendor bill,
    ``i`` invoice.

    Of what a vendor's statement shows (``of_statement``) a rule can hold invoices alone.
    """

    code: str
    label: str
    meaning: str
    holds: str
    mend: str
    of_statement: bool = False

    @property
    def holds_purchase_order(self) -> bool:
        """Whether it keeps a purchase order from being sent."""
        return "p" in self.holds

    @property
    def holds_vendor_bill(self) -> bool:
        """Whether it keeps a vendor bill from being paid."""
        return "b" in self.holds

    @property
    def holds_invoice(self) -> bool:
        """Whether it keeps an invoice from being closed, and its agreement from being billed."""
        return "i" in self.holds


_CODES: Final = (
    Code(
        "product", "Product", "Another product than the one quoted or ordered.", "pbi",
        "Put the quoted product on {where}, or send the customer a change quote.",
    ),
    Code(
        "quantity", "Quantity", "More or fewer than was quoted or agreed.", "pi",
        "Correct the quantity on {where}, or agree on another one by a change quote.",
    ),
    Code(
        "unit_cost", "Unit cost", "Bought or billed by the vendor at another cost than expected, beyond the tolerance.",
        "pb", "Get the expected cost from the vendor, or accept the new one with a reason.",
    ),
    Code(
        "unit_price", "Unit price", "Billed at another price than the one quoted.", "i",
        "Correct the price on {where}, or send the customer a change quote.",
    ),
    Code(
        "term", "Term", "Committed for a shorter or longer time than was quoted.", "pi",
        "Choose the quoted term on {where} before it binds us.",
    ),
    Code(
        "billing_frequency", "Billing frequency", "Billed more or less often than was quoted.", "pi",
        "Set the quoted billing frequency on {where}.",
    ),
    Code(
        "start_date", "Start date", "Begins on another day than was quoted.", "pi",
        "Set the quoted first day on {where}.",
    ),
    Code(
        "end_date", "End date", "Ends on another day than was quoted, or goes on when the other side has ended.", "pi",
        "Set the agreed last day on {where}, or renew it; accept with a reason what cannot be given back.",
    ),
    Code(
        "service_days", "Service days", "A draft bills days on which its addition does not run.", "i",
        "Delete {where}, and bill the period again.",
    ),
    Code(
        "serials", "Serial numbers", "Shipped are other units than those received for this line.", "",
        "Check which units went to the customer; correct the shipment or the asset.",
    ),
    Code(
        "currency", "Currency", "Quoted in another currency than the books are kept in.", "pbi",
        "Quote it anew in the currency of the books, or agree on a rate and accept it with a reason.",
    ),
    Code(
        "duplicate", "Duplicate", "The same line twice.", "pbi", "Remove one of the two, or reverse it.",
    ),
    Code(
        "missing_agreement", "Agreement missing", "The line was converted, but no addition bills it.", "",
        "Add it to the agreement again.",
    ),
    Code(
        "missing_order", "Sales order missing", "The line was converted, but it stands on no sales order.", "",
        "Add it to the sales order again.",
    ),
    Code(
        "missing_purchase", "Purchase missing", "Billed to the customer, or by a vendor, and never ordered.", "b",
        "Order it, or find out who supplied it.",
    ),
    Code(
        "missing_invoice", "Invoice missing", "Bought, and its billing is overdue.", "",
        "Bill the periods that are due.",
    ),
    Code(
        "changed_by_hand", "Changed by hand", "The addition was changed beside any quote.", "",
        "Send the customer a change quote, or accept the change with a reason.",
    ),
    Code(
        "unquoted", "Entered by hand", "A line beside those that were quoted.", "",
        "Quote it, or accept it with a reason.",
    ),
    Code(
        "over_received", "Received too much", "More has arrived than was ordered.", "b",
        "Send the surplus back, or order it as well.",
    ),
    Code(
        "not_received", "Not received", "Billed by the vendor and not arrived.", "b",
        "Receive the goods, or ask the vendor for a credit.",
    ),
    Code(
        "over_invoiced", "Billed too much", "The vendor bills more than was ordered.", "b",
        "Ask the vendor for a credit.",
    ),
    Code(
        "amount", "Amount", "The amount of a bill's line is not its quantity times its unit cost.", "b",
        "Ask the vendor for a corrected bill.",
    ),
    Code(
        "unbilled", "Unbilled", "The customer has it at the vendor, and no addition bills it.", "",
        "Add it to the agreement from the day it came, or cancel it at the vendor.", of_statement=True,
    ),
    Code(
        "under_billed", "Under-billed", "The customer has more at the vendor than is billed.", "",
        "Raise the addition from the day they came, or give back what is too many.", of_statement=True,
    ),
    Code(
        "over_billed", "Over-billed", "The customer is billed for more than there is at the vendor.", "",
        "Lower the addition, or order what is missing.", of_statement=True,
    ),
    Code(
        "orphaned", "Orphaned", "Billed and not there at the vendor, or there for a customer without an agreement.", "",
        "End the addition or order at the vendor; make an agreement or cancel at the vendor.", of_statement=True,
    ),
    Code(
        "unknown_customer", "Unknown customer", "A vendor's name of a customer that nobody has confirmed.", "",
        "Say which customer of ours it is; its lines are compared then.", of_statement=True,
    ),
    Code(
        "unknown_product", "Unknown product", "A vendor's name of a product that nobody has confirmed.", "",
        "Say which product of ours it is; its lines are compared then.", of_statement=True,
    ),
)  # fmt: skip

CATALOGUE: Final[dict[str, Code]] = {code.code: code for code in _CODES}


def what_to_do(code: str, where: str) -> str:
    """How to mend a difference on the document ``where``."""
    return CATALOGUE[code].mend.format(where=where)
