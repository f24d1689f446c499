/* Counterfoil's page behaviour: keyboard, rows, dialogs, line editors, toasts. Plain script, no build step, no inline handlers. */
(function () {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

  /* ---- keyboard ---- */

  let waitingForJump = 0;

  const KEYS = {
    "/": () => $("[data-search]")?.focus(),
    "?": () => $("#keys")?.showModal(),
    j: () => step(1),
    k: () => step(-1),
    x: () => $("input[type=checkbox]", currentRow() ?? document.createElement("i"))?.click(),
    c: () => {
      const main = $("[data-primary]") ?? $(".cf-head-actions .btn-primary");
      if (main?.matches("input")) main.focus(); else main?.click();
    },
    g: () => { waitingForJump = Date.now(); },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") return closePopovers();
    if (typing(event.target)) return;
    if ($("dialog[open], .offcanvas-lg.show")) return;
    if (Date.now() - waitingForJump < 1500 && event.key !== "g") {
      waitingForJump = 0;
      const target = $(`[data-jump="${CSS.escape(event.key)}"]`);
      if (target) { event.preventDefault(); target.click(); }
      return;
    }
    if (event.key === "Enter") return openRow(event);
    const action = KEYS[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  /* ---- rows: j, k, Enter, and a click anywhere on the row ---- */

  const rows = () => $$("table[data-rows] tbody tr[data-href]");
  const currentRow = () => $("tr.is-at");

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(currentRow());
    const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
    currentRow()?.classList.remove("is-at");
    next.classList.add("is-at");
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function openRow(event) {
    const row = currentRow();
    if (!row || event.target.closest("a, button, summary")) return;
    event.preventDefault();
    window.location.assign(row.dataset.href);
  }

  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (!row || event.target.closest("a, button, input, select, label, summary, details, form")) return;
    if (String(window.getSelection())) return;
    if (event.ctrlKey || event.metaKey) window.open(row.dataset.href, "_blank", "noopener");
    else window.location.assign(row.dataset.href);
  });

  /* ---- confirm: a form, or a button of it, with data-confirm asks before it is sent; no form is sent twice ---- */

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method === "dialog") return;
    const asking = event.submitter?.dataset.confirm ? event.submitter : form;
    if (asking.dataset.confirm && !form.dataset.confirmed) {
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(form, event.submitter, asking.dataset);
      return;
    }
    delete form.dataset.confirmed;
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "yes";
    }
  }, true);

  function ask(form, submitter, words) {
    const dialog = $("#confirm");
    $("#confirm-title").textContent = words.confirm;
    $("#confirm-text").textContent = words.confirmText || "";
    const yes = $("#confirm-yes");
    yes.textContent = words.confirmYes || "Yes";
    yes.className = submitter?.className.includes("danger") ? "btn btn-danger" : "btn btn-primary";
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "yes") {
        const there = standing(form);
        if (!there) return toast("This has moved on meanwhile, and nothing was changed. Look again.", "error");
        there.dataset.confirmed = "yes";
        there.requestSubmit(there === form ? submitter ?? undefined : undefined);
      } else {
        submitter?.focus();
      }
    }, { once: true });
    dialog.showModal();
  }

  /* The second press of a double click is no answer to what the first one asks. */
  document.addEventListener("click", (event) => {
    if (event.detail < 2 || !event.target.closest("#confirm")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  /* A form of a part that was sent anew while one was asked: its successor, if it has one. */
  function standing(form) {
    if (form.isConnected) return form;
    const same = (name) => (other) => other.getAttribute(name) && other.getAttribute(name) === form.getAttribute(name);
    return $$("form").find(same("action")) ?? $$("form").find(same("hx-post"));
  }

  window.addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => delete form.dataset.sent));

  /* ---- buttons that open a dialog, dismiss a toast, choose a theme, add or remove a line ---- */

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.dialog) $(`#${button.dataset.dialog}`)?.showModal();
    else if ("print" in button.dataset) window.print();
    else if ("dismiss" in button.dataset) button.closest(".cf-toast")?.remove();
    else if (button.dataset.themeChoice) { window.counterfoilTheme(button.dataset.themeChoice); showThemeChoice(); }
    else if ("linesAdd" in button.dataset) addLine(button.closest("[data-lines]"));
    else if ("linesRemove" in button.dataset) removeLine(button.closest("tr"));
  });

  document.addEventListener("click", (event) => {
    const dialog = event.target;
    if (dialog instanceof HTMLDialogElement && dialog.open) {
      const box = dialog.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside && event.clientX + event.clientY > 0) dialog.close("no");
    }
  });

  function showThemeChoice() {
    const chosen = document.documentElement.dataset.themeChoice || "auto";
    $$("button[data-theme-choice]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen)));
  }

  /* ---- line editors: rows of a Django formset ---- */

  function addLine(editor) {
    const total = $(`[name="${editor.dataset.lines}-TOTAL_FORMS"]`, editor);
    const index = total ? Number(total.value) : $$("[data-lines-body] > tr", editor).length;
    const holder = document.createElement("tbody");
    holder.innerHTML = $("template[data-lines-blank]", editor).innerHTML.replaceAll("__prefix__", String(index));
    const row = holder.firstElementChild;
    $("[data-lines-body]", editor).append(row);
    if (total) total.value = String(index + 1);
    window.htmx?.process(row);
    $("input:not([type=hidden]), select, textarea", row)?.focus();
  }

  function removeLine(row) {
    const body = row.parentElement;
    const stored = $('input[name$="-DELETE"]', row);
    const near = row.nextElementSibling || row.previousElementSibling;
    if (stored) { stored.checked = true; row.hidden = true; } else { row.remove(); }
    (near && $("input:not([type=hidden]), select", near))?.focus();
    body.dispatchEvent(new Event("change", { bubbles: true }));
  }

  document.addEventListener("focusin", (event) => { if (event.target.matches?.("input[data-select]")) event.target.select(); });

  /* ---- popovers, sliders, toasts, tick-all ---- */

  function closePopovers(except) {
    $$("details[data-popover][open]").forEach((details) => { if (details !== except) details.open = false; });
  }
  document.addEventListener("click", (event) => closePopovers(event.target.closest("details[data-popover]")));
  document.addEventListener("toggle", (event) => {
    const body = event.target.matches?.("details[data-popover][open]") && $(".cf-explain-body", event.target);
    if (!body) return;
    body.style.right = body.style.left = "";
    const box = body.getBoundingClientRect();
    if (box.left < 8) { body.style.right = "auto"; body.style.left = `${8 - event.target.getBoundingClientRect().left}px`; }
  }, true);

  document.addEventListener("input", (event) => {
    const slider = event.target.closest("[data-slider]");
    if (!slider) return;
    const [number, range] = [$("input:not([type=range])", slider), $("input[type=range]", slider)];
    const typed = number.value.replaceAll(/[,\s$]/g, "");
    if (event.target === range) number.value = range.value;
    else if (typed && !isNaN(typed)) range.value = typed;
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("input[data-tick-all]")) return;
    $$('tbody input[type=checkbox]:not(:disabled)', event.target.closest("table")).forEach((box) => { box.checked = event.target.checked; });
  });

  function toast(text, level = "info", link = null) {
    if ($$(".cf-toast > div").some((said) => said.textContent.startsWith(text))) return; /* it is said already */
    const box = document.createElement("div");
    box.className = `cf-toast is-${level}`;
    if (level === "error") box.setAttribute("role", "alert");
    else box.dataset.fades = "";
    const words = document.createElement("div");
    words.textContent = text;
    if (link) {
      const way = document.createElement("a");
      Object.assign(way, { href: link.href, textContent: link.text, target: "_blank", rel: "noopener" });
      words.append(" ", way);
    }
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn-close";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", "Dismiss");
    box.append(words, close);
    $("#toasts").append(box);
    fade();
  }

  function fade() {
    $$(".cf-toast[data-fades]:not([data-fading])").forEach((box) => {
      box.dataset.fading = "";
      setTimeout(() => box.remove(), 7000);
    });
  }

  /* The server may send HX-Trigger: {"counterfoil:toast": {"text": "...", "level": "success"}}. */
  document.addEventListener("counterfoil:toast", (event) => toast(event.detail.text, event.detail.level));
  document.addEventListener("htmx:responseError", (event) => event.detail.xhr.getResponseHeader("HX-Trigger")?.includes("counterfoil:toast") || toast("That did not go through, and nothing was changed. Try again, or reload the page.", "error"));
  let leaving = false;  // what was under way then is given up, which is nobody's fault
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });
  const UNREACHABLE = "The server cannot be reached. What you typed is still here; try again in a moment.";
  const unreachable = () => { if (!leaving) toast(UNREACHABLE, "error"); };
  const takeBack = (text) => $$(".cf-toast").forEach((box) => { if (box.textContent.startsWith(text)) box.remove(); });
  document.addEventListener("htmx:sendError", (event) => {
    unreachable();
    const { verb, triggeringEvent } = event.detail.requestConfig;
    if (verb !== "get" || triggeringEvent?.type !== "input") return;
    setTimeout(() => triggeringEvent.target.dispatchEvent(new Event("input", { bubbles: true })), 1500); /* a figure that is still owed */
  });
  document.addEventListener("htmx:afterOnLoad", () => takeBack(UNREACHABLE));

  /* ---- who is signed out meanwhile signs in beside this page: what is typed here stays, and can be sent then ---- */

  const SIGNED_OUT = "You are signed out. What you typed is still here:";
  const TOKEN = "counterfoil-form";
  const signedOut = (href) => toast(SIGNED_OUT, "error", { href, text: "sign in" });

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const way = event.detail.xhr.getResponseHeader("HX-Redirect");
    if (!way?.startsWith("/accounts/login/")) return;
    event.preventDefault();
    signedOut(way);
  });

  /* Signing in gives forms another token; that of the page loaded last is the one that holds. */
  function giveToken() {
    if (!document.body.matches(".cf-app[hx-headers]")) return;
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
    takeToken(token);
    try { localStorage.setItem(TOKEN, token); } catch (error) { /* storage is blocked */ }
  }

  function takeToken(token) {
    if (!token || !document.body.matches(".cf-app")) return;
    $$("input[name=csrfmiddlewaretoken]").forEach((input) => { input.value = token; });
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
    takeBack(SIGNED_OUT);
  }

  window.addEventListener("storage", (event) => { if (event.key === TOKEN) takeToken(event.newValue); });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    try { takeToken(localStorage.getItem(TOKEN)); } catch (error) { /* storage is blocked */ }
  });

  /* ---- a figure that is older than what is typed beside it is shown as such until the newer one comes ---- */

  /* What a choice is about to replace is not typed in. */
  for (const [name, isAsked] of [["htmx:beforeRequest", true], ["htmx:afterRequest", false]]) {
    document.addEventListener(name, (event) => { if (event.detail.requestConfig.elt.matches("select")) event.detail.target.inert = isAsked; });
  }

  const targetOf = (part) => $(part.getAttribute("hx-target") ?? "#none");

  document.addEventListener("input", (event) => {
    const form = event.target.closest("form");
    if (!form) return;
    for (const part of [form, ...$$("[hx-get][hx-target]", form)]) {
      const shown = part.hasAttribute("hx-get") && targetOf(part);
      if (!shown || !(part.matches("button") || part.getAttribute("hx-trigger")?.includes("input"))) continue;
      shown.classList.add("is-old");
      delete shown.dataset.asked;
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => { if (event.detail.requestConfig.verb === "get") event.detail.target.dataset.asked = "yes"; });
  document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target.dataset.asked) event.detail.target.classList.remove("is-old"); });

  /* What changes something is sent once however often one presses: not before its answer, and not by a double click. */
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, triggeringEvent } = event.detail;
    if (!elt.hasAttribute("hx-post")) return;
    if (elt.dataset.sent || (triggeringEvent?.type === "click" && triggeringEvent.detail > 1)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else {
      elt.dataset.sent = "yes";
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => { delete event.detail.requestConfig.elt.dataset.sent; });

  document.addEventListener("htmx:confirm", (event) => {
    const question = event.target.closest("[hx-confirm]") && event.detail.question;
    if (!question) return;
    event.preventDefault();
    const dialog = $("#confirm");
    $("#confirm-title").textContent = question;
    $("#confirm-text").textContent = "";
    $("#confirm-yes").textContent = "Yes";
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => { delete event.target.dataset.sent; if (dialog.returnValue === "yes") event.detail.issueRequest(true); }, { once: true });
    dialog.showModal();
  });

  /* A form one comes back to is the one that was sent, though the page is a new one: its place in the history says so. */
  function keepWhichForm() {
    const input = $("input[name=sent_once]");
    if (!input) return;
    if (history.state?.sentOnce) input.value = history.state.sentOnce;
    else history.replaceState({ ...history.state, sentOnce: input.value }, "");
  }

  function ready() {
    keepWhichForm();
    showThemeChoice();
    giveToken();
    fade();
    $("[data-focus]")?.focus();
    const here = $(".cf-stepper [aria-current]");
    if (here) here.parentElement.scrollLeft = here.offsetLeft - 60;
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else ready();

  window.counterfoil = { toast, signedOut, unreachable };
})();
