/* The quote editor: add from the catalog by typing, put lines in order by drag or keyboard, say what the server decided. */
(function () {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const lines = () => $("#quote-lines");

  /* ---- order: drag by the handle, or Alt and an arrow key anywhere in a line ---- */

  let dragged = null;

  document.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-drag]");
    if (!handle || event.button > 0) return;
    event.preventDefault();
    dragged = handle.closest("[data-line]");
    dragged.classList.add("is-dragged");
    handle.setPointerCapture(event.pointerId);
  });

  document.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const over = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-line], [data-section]");
    if (!over || over === dragged || !lines().contains(over)) return;
    if ("section" in over.dataset && !("line" in over.dataset)) {
      const list = $("[data-list]", over);
      if (!list.contains(dragged) && !list.children.length) list.append(dragged);
      return;
    }
    const box = over.getBoundingClientRect();
    const after = event.clientY > box.top + box.height / 2;
    over.parentElement.insertBefore(dragged, after ? over.nextSibling : over);
  });

  for (const kind of ["pointerup", "pointercancel"]) {
    document.addEventListener(kind, () => {
      if (!dragged) return;
      dragged.classList.remove("is-dragged");
      dragged = null;
      sendOrder();
    });
  }

  document.addEventListener("keydown", (event) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const line = event.target.closest?.("[data-line]");
    if (!line) return;
    event.preventDefault();
    const focused = document.activeElement;
    if (move(line, event.key === "ArrowUp" ? -1 : 1)) sendOrder();
    focused?.focus();
  });

  /* One place up or down; over the edge of a section into the next one. */
  function move(line, by) {
    const beside = by < 0 ? line.previousElementSibling : line.nextElementSibling;
    if (beside) {
      line.parentElement.insertBefore(line, by < 0 ? beside : beside.nextSibling);
      return true;
    }
    const lists = $$("[data-list]", lines());
    const next = lists[lists.indexOf(line.parentElement) + by];
    if (!next) return false;
    if (by < 0) next.append(line); else next.prepend(line);
    return true;
  }

  function sendOrder() {
    const editor = $("#quote-editor");
    const order = $$("[data-line]", lines()).map((line) => `${line.dataset.line}:${line.closest("[data-section]").dataset.section}`);
    window.htmx.ajax("POST", editor.dataset.order, { source: editor, swap: "none", values: { order: order.join(",") } });
    say(`${order.length} lines in the new order`);
  }

  /* ---- catalog: what is typed is looked up; arrows choose, Enter adds ---- */

  document.addEventListener("keydown", (event) => {
    const box = event.target.closest?.("[data-catalog]");
    if (!box) return;
    const choices = $$("[data-add]", box);
    const at = choices.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && choices.length) {
      event.preventDefault();
      choices[Math.min(choices.length - 1, at + 1)].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      event.preventDefault();
      (choices[at - 1] ?? $("input", box)).focus();
    } else if (event.key === "Enter" && event.target.matches("input")) {
      event.preventDefault();
      wanted = event.target.value;
      addWanted();
    }
  });

  /* Enter adds the first of what is found for the text as it stands; pressed sooner, it waits for the answer. */
  let wanted = null;

  function addWanted() {
    const found = $("#catalog-results [data-typed]");
    if (wanted === null || found?.dataset.typed !== wanted) return;
    wanted = null;
    $("[data-add]", found)?.click();
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id === "catalog-results") addWanted();
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "catalog-search") wanted = null;
  });

  /* Which section a line is added to: the one worked on last. */
  document.addEventListener("focusin", (event) => {
    const section = event.target.closest?.("[data-section]");
    const field = $("#add-to-section");
    if (section && field) field.value = section.dataset.section;
  });

  /* ---- after a change ---- */

  document.addEventListener("counterfoil:line-added", (event) => {
    const line = $(`[data-line="${event.detail.line}"]`);
    line?.scrollIntoView({ block: "nearest" });
    const quantity = line && $("[name=quantity]", line);
    quantity?.focus();
    quantity?.select();
  });

  document.addEventListener("counterfoil:section-added", (event) => {
    $("#add-to-section").value = event.detail.section;
    $("#new-section").value = "";
    $("#catalog-search")?.focus();
  });

  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(".cf-qcell[inputmode]")) event.target.select();
  });

  function say(text) {
    const place = $("#quote-said");
    if (place) place.textContent = text;
  }
})();
