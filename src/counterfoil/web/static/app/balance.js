/* The running totals of a journal entry that is being entered. Whole cents are added, so the sums are exact; whether the
   entry balances is decided by the server. */
(function () {
  "use strict";

  function cents(text) {
    const found = /^\s*(\d[\d,]*)?(?:\.(\d{0,2}))?\s*$/.exec(text);
    if (!found || (!found[1] && !found[2])) return 0;
    return Number((found[1] || "0").replaceAll(",", "")) * 100 + Number((found[2] || "").padEnd(2, "0"));
  }

  function words(sum) {
    return `${Math.floor(sum / 100).toLocaleString("en-US")}.${String(sum % 100).padStart(2, "0")}`;
  }

  function count(editor) {
    const sums = { debit: 0, credit: 0 };
    for (const side of Object.keys(sums)) {
      for (const input of editor.querySelectorAll(`tbody input[name$="-${side}"]`)) sums[side] += cents(input.value);
      editor.querySelector(`[data-balance-of="${side}"]`).textContent = words(sums[side]);
    }
    const off = sums.debit - sums.credit;
    const said = editor.querySelector("[data-balance-said]");
    said.textContent = off === 0 ? (sums.debit ? "In balance" : "") : `Out of balance: ${words(Math.abs(off))} is missing on the ${off > 0 ? "credit" : "debit"} side`;
    said.className = off === 0 ? "cf-note" : "cf-unbalanced";
  }

  function start() {
    for (const editor of document.querySelectorAll("[data-balance]")) {
      for (const event of ["input", "change", "click"]) editor.addEventListener(event, () => setTimeout(() => count(editor)));
      count(editor);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
