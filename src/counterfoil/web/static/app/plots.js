/* Draws every <canvas data-plot="ID"> from the JSON block with that id. The server decides the numbers; this only draws.

   {"labels": ["Jan 2026", ...], "kind": "line" | "bar", "currency": "USD", "stacked": false,
    "series": [{"key": "option1", "label": "Option 1", "values": ["-3450.00", ...], "style": "line" | "area" | "dash" | "bar",
                "colour": "plot-1", "hidden": false, "order": 1}]}  (lower orders lie on top) */
(function () {
  "use strict";

  const charts = new Map();
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--cf-${name}`).trim();
  const PALETTE = ["plot-2", "plot-1", "plot-cash", "good", "act"];

  function money(value) {
    const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    return value < 0 ? `(${text})` : text;
  }

  function short(value) {
    const text = Math.abs(value).toLocaleString("en-US", { maximumFractionDigits: 2 });
    return value < 0 ? `(${text})` : text;
  }

  function dataset(series, index, kind, old) {
    const colour = css(series.colour || PALETTE[index % PALETTE.length]);
    const style = series.style || kind;
    const area = style === "area";
    return {
      key: series.key,
      label: series.label,
      data: series.values.map((value) => (value === null ? null : Number(value))),
      type: style === "bar" ? "bar" : "line",
      hidden: old ? old.hidden : Boolean(series.hidden),
      borderColor: area ? "transparent" : colour,
      backgroundColor: area ? css("plot-area") : style === "bar" ? colour : "transparent",
      fill: area ? "origin" : false,
      borderWidth: area || style === "bar" ? 0 : 2,
      borderDash: style === "dash" ? [5, 4] : [],
      borderRadius: 3,
      maxBarThickness: 28,
      pointRadius: 0,
      pointHoverRadius: area ? 0 : 4,
      pointHoverBackgroundColor: colour,
      tension: 0,
      order: series.order ?? (area ? 2 : 1),
    };
  }

  /* A thin line at the month under the pointer. */
  const reader = {
    id: "reader",
    afterDatasetsDraw(chart) {
      const active = chart.tooltip?.getActiveElements?.() ?? [];
      if (!active.length) return;
      const { ctx, chartArea } = chart;
      ctx.save();
      ctx.strokeStyle = css("ink-3");
      ctx.globalAlpha = 0.5;
      ctx.beginPath();
      ctx.moveTo(active[0].element.x, chartArea.top);
      ctx.lineTo(active[0].element.x, chartArea.bottom);
      ctx.stroke();
      ctx.restore();
    },
  };

  function options(plot, canvas) {
    const grid = css("line-soft");
    const ink = css("ink-3");
    const small = canvas.closest(".is-small") !== null;
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: { display: false },
        tooltip: {
          backgroundColor: css("surface"),
          borderColor: css("line"),
          borderWidth: 1,
          titleColor: css("ink"),
          bodyColor: css("ink-2"),
          padding: 10,
          boxWidth: 10,
          boxHeight: 3,
          multiKeyBackground: "transparent",
          usePointStyle: false,
          callbacks: {
            label: (item) => ` ${item.dataset.label}: ${money(item.parsed.y)}`,
            labelColor: (item) => {
              const colour = item.dataset.borderWidth ? item.dataset.borderColor : item.dataset.backgroundColor;
              return { backgroundColor: colour, borderColor: colour };
            },
          },
        },
      },
      scales: {
        x: {
          stacked: Boolean(plot.stacked),
          grid: { display: false },
          border: { color: css("line") },
          ticks: { color: ink, font: { size: 11 }, maxRotation: 0, autoSkip: true, autoSkipPadding: 22 },
        },
        y: {
          stacked: Boolean(plot.stacked),
          border: { display: false },
          grid: { color: (tick) => (tick.tick.value === 0 ? css("ink-3") : grid), drawTicks: false },
          ticks: { color: ink, font: { size: 11 }, padding: 8, maxTicksLimit: small ? 4 : 8, callback: short },
        },
      },
    };
  }

  function draw(canvas) {
    window.Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const block = document.getElementById(canvas.dataset.plot);
    if (!block) return;
    const plot = JSON.parse(block.textContent);
    const old = charts.get(canvas);
    const data = {
      labels: plot.labels,
      datasets: plot.series.map((series, index) =>
        dataset(series, index, plot.kind || "line", old && { hidden: !old.isDatasetVisible(index) })),
    };
    if (old) {
      old.data = data;
      old.options = options(plot, canvas);
      old.update("none");
    } else {
      charts.set(canvas, new window.Chart(canvas, { type: plot.kind === "bar" ? "bar" : "line", data, options: options(plot, canvas), plugins: [reader] }));
    }
  }

  function drawAll() {
    for (const [canvas, chart] of charts) {
      if (!canvas.isConnected) { chart.destroy(); charts.delete(canvas); }
    }
    document.querySelectorAll("canvas[data-plot]").forEach(draw);
  }

  /* Legend buttons: <button data-series="cash" data-for="ID" aria-pressed="false">Cash</button> */
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-series]");
    if (!button) return;
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const [canvas, chart] of charts) {
      if (canvas.dataset.plot !== button.dataset.for) continue;
      const index = chart.data.datasets.findIndex((set) => set.key === button.dataset.series);
      if (index >= 0) chart.setDatasetVisibility(index, shown);
      chart.update("none");
    }
  });

  document.addEventListener("counterfoil:theme", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", drawAll);
  else drawAll();
})();
