/* The quote editor: cells that are sent as they are left, lines put in order by drag or keyboard, adding by typing, undo. */
(function () {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const lines = () => $("#quote-lines");
  const editor = () => $("#quote-editor");
  if (!editor()) return;

  /* ---- changes go to the server one after the other, as they were made ---- */

  let queue = Promise.resolve(), waiting = 0;

  function later(deed) {
    waiting += 1;
    queue = queue.then(deed, deed).finally(() => { waiting -= 1; });
    return queue;
  }

  /* What comes back is put where it belongs before the promise is kept; nothing, where nothing was sent. */
  function answered(source, ask) {
    return new Promise((resolve) => {
      let isSent = false;
      const hear = (event) => {
        if (event.detail.requestConfig.elt !== source) return;
        if (event.type === "htmx:beforeSend") isSent = true;
        else done(event.detail.xhr);
      };
      const done = (answer) => {
        for (const name of ["htmx:beforeSend", "htmx:afterRequest"]) document.removeEventListener(name, hear);
        resolve(answer);
      };
      for (const name of ["htmx:beforeSend", "htmx:afterRequest"]) document.addEventListener(name, hear);
      ask();
      if (!isSent) done(null);
    });
  }

  /* The editor asks, not the cell: an answer to a cell that is no longer there would have no place. */
  const post = (path, values, more = { swap: "none" }) => answered(editor(), () => {
    window.htmx.ajax("POST", editor().dataset.url + path, { source: editor(), values, ...more }).catch(() => {});
  });

  /* What buttons and forms of the editor send waits for its turn too, so that no answer is older than what it is put over. */
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, verb, issueRequest } = event.detail;
    if (verb === "get" || elt === editor() || !editor().contains(elt) || event.defaultPrevented) return;
    event.preventDefault();
    later(() => elt.isConnected && answered(elt, () => issueRequest(true)));
  });

  /* Who goes on to another page does so when what was typed has been saved; what is refused keeps one here. */
  async function go(event, again) {
    if (!waiting) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const refused = () => $$(".cf-qcell[aria-invalid]").length;
    const before = refused();
    await queue.catch(() => {});
    if (refused() <= before) again();
  }

  /* The actions may have been sent anew meanwhile: the same one is taken then, if it is still there. */
  const same = (element, name) => element.isConnected ? element
    : $$(element.localName).find((each) => each.getAttribute(name) === element.getAttribute(name));

  window.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || link.target || event.ctrlKey || event.metaKey || event.shiftKey || link.getAttribute("href").startsWith("#")) return;
    go(event, () => same(link, "href")?.click());
  }, true);

  window.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "post" && !form.hasAttribute("hx-post")) go(event, () => same(form, "action")?.requestSubmit());
  }, true);

  window.addEventListener("beforeunload", (event) => { if (waiting) event.preventDefault(); });

  /* ---- cells: what is typed is sent when it is left or confirmed, with what stood there before ---- */

  /* Whose cell it is: a line's, or a section's. */
  function owner(cell) {
    const line = cell.closest("[data-line]");
    if (line) return { box: line, path: `lines/${line.dataset.line}/`, error: `error-${line.dataset.line}` };
    const section = cell.closest("[data-section]");
    return { box: $("header", section), path: `sections/${section.dataset.section}/`, error: `section-error-${section.dataset.section}` };
  }

  function messageOf(of) {
    let place = document.getElementById(of.error);
    if (!place) {
      place = document.createElement("p");
      place.id = of.error;
      place.className = "cf-qline-error";
      place.setAttribute("role", "alert");
      of.box.append(place);
    }
    return place;
  }

  /* A value that was refused stays as it was typed; only Enter sends it once more. */
  function save(cell, confirmed = false) {
    if (cell.value === cell.defaultValue) return settle(cell);
    if (!confirmed && cell.dataset.refused === cell.value) return;
    const { path } = owner(cell);
    later(() => {
      const there = cellOf(path, cell.name);
      return there && there.value !== there.defaultValue && send(there, there.value, there.defaultValue);
    });
  }

  async function send(sent, value, was, undoing = false) {
    const { path } = owner(sent), name = sent.name;
    messageOf(owner(sent));
    const answer = await post(path, { [name]: value, [`was_${name}`]: was });
    const cell = cellOf(path, name);
    if (!cell) return false;
    if (answer?.status === 200) {
      const now = cell.dataset.there ?? value;
      if (cell.value === value) keep(cell, now);
      else cell.defaultValue = now; /* what is typed by now comes after it */
      if (!undoing) remember({ path, name, value: now, was, label: cell.getAttribute("aria-label") });
      return true;
    }
    const said = messageOf(owner(cell));
    if (answer?.status === 404) said.textContent = "This is no longer on the quote: somebody has taken it off meanwhile. What you typed was not saved.";
    if ("there" in said.dataset) cell.defaultValue = said.dataset.there;
    cell.dataset.refused = cell.value;
    cell.setAttribute("aria-invalid", "true");
    return false;
  }

  /* The cell says what the server has; who is there already types over it. */
  function keep(cell, value) {
    const isTypedOver = cell.value !== value && cell === document.activeElement;
    cell.defaultValue = cell.value = value;
    if (isTypedOver) cell.select?.();
    delete cell.dataset.there;
    settle(cell);
    return value;
  }

  function settle(cell) {
    if (!cell.hasAttribute("aria-invalid")) return document.getElementById(owner(cell).error)?.remove();
    cell.removeAttribute("aria-invalid");
    delete cell.dataset.refused;
    document.getElementById(owner(cell).error)?.remove();
  }

  document.addEventListener("change", (event) => event.target.matches?.("#quote-lines .cf-qcell") && save(event.target));

  /* Cells of a line that an answer is about: what somebody is just typing stays. */
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    const sums = event.target;
    if (!sums.matches?.("[data-cells]") || !sums.isConnected) return;
    for (const cell of $$(".cf-qcell", sums.closest("[data-line]"))) {
      const value = sums.dataset[cell.name];
      if (value === undefined) continue;
      cell.dataset.there = value;
      if (cell.value === cell.defaultValue) keep(cell, value);
    }
  });

  document.addEventListener("keydown", (event) => {
    const cell = event.target;
    if (!cell.matches?.("#quote-lines .cf-qcell") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      save(cell, true);
    } else if (event.key === "Escape") {
      cell.value = cell.defaultValue;
      cell.setAttribute("aria-invalid", "true");
      settle(cell);
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const column = $$(`[data-line] [name=${cell.name}]`, lines());
      const next = column[column.indexOf(cell) + (event.key === "ArrowUp" ? -1 : 1)];
      if (!next || !cell.closest("[data-line]")) return;
      event.preventDefault();
      next.focus();
    }
  });

  document.addEventListener("focusin", (event) => {
    const cell = event.target;
    if (!cell.matches?.(".cf-qcell")) return;
    cell.autocomplete = "off";
    if (cell.inputMode === "decimal") cell.select();
  });

  /* What is typed and not saved outlives that the lines are sent anew. */
  let typed = [], opened = [], at = null;

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target !== lines() || !event.detail.shouldSwap) return;
    typed = $$(".cf-qcell", lines()).filter((cell) => cell.value !== cell.defaultValue)
      .map((cell) => ({ path: owner(cell).path, name: cell.name, value: cell.value }));
    const cell = document.activeElement?.matches("#quote-lines .cf-qcell") ? document.activeElement : null;
    at = cell && { path: owner(cell).path, name: cell.name, from: cell.selectionStart, to: cell.selectionEnd };
    opened = $$(".cf-qline-place", lines()).filter((place) => !place.contains(event.detail.requestConfig.elt))
      .map((place) => ({ key: place.closest("[data-line]").dataset.line, place, focused: place.contains(document.activeElement) && document.activeElement }));
    for (const { place } of opened) place.remove();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== lines()) return;
    for (const { path, name, value } of typed) {
      const cell = cellOf(path, name);
      if (cell && cell.value !== value) Object.assign(cell, { value }).setAttribute("aria-invalid", "true");
    }
    for (const { key, place, focused } of opened) {
      const line = $(`[data-line="${key}"]`, lines());
      line?.append(place);
      if (line) $("[data-more]", line)?.setAttribute("aria-expanded", "true");
      if (line && focused) focused.focus();
    }
    const cell = at && cellOf(at.path, at.name);
    cell?.focus();
    cell?.setSelectionRange?.(at.from, at.to);
    typed = opened = [];
    at = null;
  });

  /* Whoever is at work elsewhere by the time an answer comes is not taken from there. */
  const isBusy = () => document.activeElement?.matches("#quote-lines input, #quote-lines textarea, #quote-lines select") === true;

  function cellOf(path, name) {
    const [kind, key] = path.split("/");
    return $(kind === "lines" ? `[data-line="${key}"] [name=${name}]` : `[data-section="${key}"] header [name=${name}]`);
  }

  /* ---- undo: the last change of this page is taken back, unless somebody has changed it meanwhile ---- */

  const done = [];

  function remember(deed) {
    done.push(deed);
    if (done.length > 100) done.shift();
  }

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.key.toLowerCase() !== "z") return;
    const at = event.target;
    const isTyping = at.matches?.("input, textarea, select") && (!at.matches("#quote-lines .cf-qcell") || at.value !== at.defaultValue);
    if (isTyping) return;
    event.preventDefault();
    later(undo);
  });

  async function undo() {
    const deed = done.pop();
    if (!deed) return say("There is nothing to undo");
    if (deed.order) {
      if (!arrange(deed.order)) return say("The lines are others by now: their order stays");
      await post("lines/order/", { order: deed.order });
      return say("The lines are in their former order");
    }
    if (deed.added) {
      await post(`lines/${deed.added}/remove/`, {}, { target: "#quote-lines", swap: "innerHTML" });
      return say("The line was taken off again");
    }
    const cell = cellOf(deed.path, deed.name);
    if (!cell) return say("That line is no longer there");
    cell.value = deed.was;
    if (await send(cell, deed.was, deed.value, true)) say(`${deed.label}: ${deed.was || "none"} again`);
    cell.focus();
  }

  /* ---- order: drag by the handle, or Alt and an arrow key anywhere in a line ---- */

  let dragged = null, orderBefore = "";

  document.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-drag]");
    if (!handle || event.button > 0) return;
    event.preventDefault();
    orderBefore = orderNow();
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
    if (!line || !$("[data-drag]", line)) return;
    event.preventDefault();
    const focused = document.activeElement;
    orderBefore = orderNow();
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

  const orderNow = () => $$("[data-line]", lines()).map((line) => `${line.dataset.line}:${line.closest("[data-section]").dataset.section}`).join(",");

  function sendOrder() {
    const order = orderNow(), was = orderBefore;
    if (order === was) return;
    later(async () => {
      const answer = await post("lines/order/", { order });
      if (answer?.status === 200 && !answer.getResponseHeader("HX-Retarget")) remember({ order: was });
    });
    say("The line was moved");
  }

  /* Puts the lines where an order says; false where it is about other lines. */
  function arrange(order) {
    const places = order.split(",").map((part) => part.split(":"));
    const known = new Map($$("[data-line]", lines()).map((line) => [line.dataset.line, line]));
    if (places.length !== known.size || places.some(([key]) => !known.has(key))) return false;
    for (const [key, section] of places) {
      const list = $(`[data-section="${section}"] [data-list]`, lines());
      if (!list) return false;
      list.append(known.get(key));
    }
    return true;
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

  /* ---- everything about a line: fetched where it is asked for, beneath the line ---- */

  document.addEventListener("click", async (event) => {
    const more = event.target.closest("[data-more]");
    if (!more) return;
    const line = more.closest("[data-line]"), open = $(".cf-qline-place", line);
    if (open) return close(open);
    const place = document.createElement("div");
    place.id = `details-${line.dataset.line}`;
    place.className = "cf-qline-place";
    line.append(place);
    more.setAttribute("aria-expanded", "true");
    await window.htmx.ajax("GET", `${editor().dataset.url}lines/${line.dataset.line}/`, { source: more, target: place, swap: "innerHTML" });
    if (!isBusy()) $("button, input:not([type=hidden])", place)?.focus();
  });

  function close(place) {
    const more = $("[data-more]", place.closest("[data-line]"));
    place.remove();
    more.removeAttribute("aria-expanded");
    more.focus();
  }

  document.addEventListener("keydown", (event) => {
    const place = event.key === "Escape" && event.target.closest?.(".cf-qline-place");
    if (place) close(place);
  });

  /* ---- after a change ---- */

  document.addEventListener("counterfoil:line-added", (event) => {
    remember({ added: event.detail.line });
    if (isBusy()) return;
    const line = $(`[data-line="${event.detail.line}"]`);
    line?.scrollIntoView({ block: "nearest" });
    const quantity = line && $("[name=quantity]", line);
    quantity?.focus();
    quantity?.select();
  });

  document.addEventListener("counterfoil:section-added", (event) => {
    $("#add-to-section").value = event.detail.section;
    const field = $("#new-section"), made = cellOf(`sections/${event.detail.section}/`, "title");
    if (made?.value !== field.value.trim()) return; /* the next one is being typed already */
    field.value = "";
    if (!isBusy()) $("#catalog-search")?.focus();
  });

  function say(text) {
    const place = $("#quote-said");
    if (place) place.textContent = text;
  }
})();
