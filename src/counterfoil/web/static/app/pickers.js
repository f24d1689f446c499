/* Inputs one types a name into: what matches is offered below, and a chosen product fills the empty cells of its line. */
(function () {
  "use strict";

  const lists = new Map(); /* address -> <datalist> */
  const known = new Map(); /* address + value -> what the server said of it */
  const asked = new Map(); /* address -> how often it was asked: what was asked first may be answered last */
  let timer = 0;

  document.addEventListener("focusin", (event) => { if (event.target.dataset?.pick) offer(event.target); });
  document.addEventListener("input", (event) => {
    if (!event.target.dataset?.pick) return;
    clearTimeout(timer);
    timer = setTimeout(() => offer(event.target), 120);
  });
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.dataset?.pick) return;
    const found = known.get(input.dataset.pick + input.value.trim().toLowerCase());
    if (found) fill(input, found);
    else offer(input).then(() => fill(input, known.get(input.dataset.pick + input.value.trim().toLowerCase())));
  });

  async function offer(input) {
    const source = input.dataset.pick;
    const list = listFor(source);
    input.setAttribute("list", list.id);
    const turn = (asked.get(source) ?? 0) + 1;
    asked.set(source, turn);
    const answer = await fetch(`${source}?q=${encodeURIComponent(input.value.trim())}`, { headers: { Accept: "application/json" } })
      .catch(() => window.counterfoil.unreachable());
    if (answer?.redirected) window.counterfoil.signedOut(`/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
    if (!answer?.ok || answer.redirected) return;
    const { results } = await answer.json();
    for (const result of results) known.set(source + result.value.toLowerCase(), result);
    if (asked.get(source) !== turn) return;
    list.replaceChildren(...results.map((result) => {
      const option = document.createElement("option");
      option.value = result.value;
      option.label = result.label;
      return option;
    }));
  }

  function listFor(source) {
    if (!lists.has(source)) {
      const list = document.createElement("datalist");
      list.id = `pick-${lists.size + 1}`;
      document.body.append(list);
      lists.set(source, list);
    }
    return lists.get(source);
  }

  /* The catalog's price, cost and recurrence, where nothing was typed. */
  function fill(input, found) {
    const row = input.closest("tr, form");
    if (!found?.fill || !row) return;
    for (const [name, value] of Object.entries(found.fill)) {
      const cell = row.querySelector(`[data-fill="${name}"]`);
      if (!cell || (cell.value && cell.dataset.filled !== cell.value)) continue;
      cell.value = value;
      cell.dataset.filled = value;
      if (cell === document.activeElement) cell.select?.(); /* who is there already types over it, not behind it */
    }
  }
})();
