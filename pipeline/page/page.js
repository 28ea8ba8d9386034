"use strict";
(function () {
  const all = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  const by = (id) => document.getElementById(id);
  const table = by("table"), filter = by("filter"), group = by("group"), expand = by("expand");
  const rows = all("tbody.channel", table);

  // Sort: a channel moves with the rows below it; what has no value comes last.
  const value = (body, key) => {
    if (key === "name" || key === "group" || key === "badge") return body.dataset[key].toLowerCase();
    const found = body.querySelector("td[data-key='" + key + "'] > data");
    return found ? Number(found.value) : NaN;
  };
  const order = (one, other, sign) => {
    if (typeof one === "string") return sign * one.localeCompare(other);
    if (isNaN(one) || isNaN(other)) return isNaN(one) - isNaN(other);
    return sign * (one - other);
  };
  all("thead button[data-sort]", table).forEach((button) => button.addEventListener("click", () => {
    const head = button.parentElement, key = button.dataset.sort;
    const names = key === "name" || key === "group" || key === "badge";
    const now = head.getAttribute("aria-sort");
    const up = now === "none" ? names : now === "descending";
    all("th[aria-sort]", table).forEach((th) => th.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((a, b) => order(value(a, key), value(b, key), up ? 1 : -1) || a.dataset.at - b.dataset.at);
    rows.forEach((body) => table.insertBefore(body, table.tFoot));
  }));

  // Filter by name and group.
  const choose = () => {
    const text = filter.value.trim().toLowerCase();
    rows.forEach((body) => {
      body.hidden = !body.dataset.name.toLowerCase().includes(text) ||
        Boolean(group && group.value && body.dataset.group !== group.value);
    });
    const shown = rows.filter((body) => !body.hidden).length;
    by("count").textContent = shown === rows.length ? "" : shown + " of " + rows.length + " channels";
  };
  filter.addEventListener("input", choose);
  if (group) group.addEventListener("change", choose);

  // Expand a channel, or all.
  const open = (button, is) => {
    button.setAttribute("aria-expanded", String(is));
    all("tr.part", button.closest("tbody")).forEach((row) => { row.hidden = !is; });
  };
  const more = all("button.more", table);
  more.forEach((button) => button.addEventListener("click", () =>
    open(button, button.getAttribute("aria-expanded") !== "true")));
  if (expand) expand.addEventListener("click", () => {
    const is = expand.getAttribute("aria-expanded") !== "true";
    expand.setAttribute("aria-expanded", String(is));
    expand.textContent = is ? "Collapse all" : "Expand all";
    more.forEach((button) => open(button, is));
  });

  // The date of the orders.
  const bases = all("button.basis");
  bases.forEach((button) => button.addEventListener("click", () => bases.forEach((other) => {
    const is = other === button;
    other.setAttribute("aria-pressed", String(is));
    by("basis-" + other.dataset.basis).hidden = !is;
  })));

  // The rows shown, cell for cell those of channel_summary.csv, and the total if all are.
  const quoted = (cell) => /[",\r\n]/.test(cell) ? "\"" + cell.replace(/"/g, "\"\"") + "\"" : cell;
  by("download").addEventListener("click", () => {
    const [header, ...cells] = JSON.parse(by("summary").textContent);
    const total = cells.filter((row) => row[1] === "1"), kept = cells.filter((row) => row[1] !== "1");
    const shown = rows.filter((body) => !body.hidden).map((body) => kept[Number(body.dataset.file)]);
    const lines = [header, ...shown, ...(shown.length === kept.length ? total : [])];
    const text = lines.map((row) => row.map(quoted).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = "channels.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
})();
