"use strict";
(function () {
  const all = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  const by = (id) => document.getElementById(id);
  const table = by("table"), filter = by("filter"), group = by("group"), expand = by("expand");
  const rows = all("tbody.channel", table);

  // Sort: a channel moves with the rows below it; what has no value comes last.
  const value = (body, key) => {
    if (key === "name" || key === "group" || key === "badge") return body.dataset[key].toLowerCase();
    const found = body.querySelector("td[data-key='" + key + "'] data");
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

  // What a figure sums: orders, sessions, days, and their sum, which is the figure's cell of channel_summary.csv.
  const dialog = by("ledger"), read = (id) => JSON.parse(by(id).textContent);
  const element = (tag, text, kind) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const amount = (cell) => cell === "" ? "\u2013" :
    Number(cell).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const count = (cell) => Number(cell).toLocaleString("en-US");
  const listing = (caption, heads, lines, sum) => {
    const made = element("table"), row = (part, cells, tag) => {
      const tr = part.insertRow();
      cells.forEach((cell, at) => {
        const head = tag === "th" || at === 0, td = tr.appendChild(element(head ? "th" : "td", cell, heads[at][1]));
        if (head) td.scope = tag === "th" ? "col" : "row";
      });
    };
    made.createCaption().textContent = caption;
    row(made.createTHead(), heads.map((head) => head[0]), "th");
    const body = made.createTBody();
    lines.forEach((line) => row(body, line));
    row(made.createTFoot(), sum);
    return made;
  };
  const show = (button) => {
    const at = button.dataset.ledger, key = button.closest("td").dataset.key;
    const [header, ...rows_] = read("summary");
    const place = at === "total" ? rows_.findIndex((row) => row[1] === "1") :
      rows_.indexOf(rows_.filter((row) => row[1] !== "1")[Number(at)]);
    const cell = (column) => rows_[place][header.indexOf(column)];
    const ledger = read("ledgers")[place], body = by("ledger-body"), total = at === "total";
    const label = table.querySelector("button[data-sort='" + key + "']").textContent;
    const named = total ? "All channels" : button.closest("tbody").dataset.name;
    by("ledger-title").replaceChildren(element("bdi", named), ": " + label + " " + button.textContent.trim());
    body.replaceChildren();
    if (key === "CPO") body.append(element("p", amount(cell("spend")) + " spend / " + amount(cell("orders")) + " orders"));
    if (key === "ROAS") body.append(element("p", amount(cell("revenue")) + " revenue / " + amount(cell("spend")) + " spend"));
    if (key !== "spend") {
      const isNew = key === "new", sums = isNew ? [7] : [5, 6];
      const heads = total ? [["Order", ""], ["Date", ""], ["Sessions", "n"]] :
        [["Order", ""], ["Date", ""], ["Session", ""], ["Date", ""]];
      heads.push(...(isNew ? [["New cust.", "n"]] : [["Orders", "n"], ["Revenue", "n"]]));
      const shown = ledger.entries.filter((entry) => !isNew || Number(entry[7]) > 0);
      const left = ledger.entries.length > 20 && !isNew ? "of all and of new customers" : "";
      const lines = shown.map((entry) =>
        [...(total ? [entry[0], entry[1], count(entry[4])] : entry.slice(0, 4)), ...sums.map((i) => amount(entry[i]))]);
      const blank = heads.slice(3, -sums.length).map(() => "");
      ledger.others.forEach((other) => lines.push(["all others", "", total ? count(other[0]) : count(other[0]) + " sessions",
        ...blank, ...sums.map((i) => amount(other[i - 4]))]));
      body.append(listing("The largest " + (total ? "orders" : "sessions by credited revenue") + (left && ", " + left), heads, lines,
        ["Sum", "", "", ...blank, ...(isNew ? ["new_customer_orders"] : ["orders", "revenue"]).map((column) => amount(cell(column)))]));
    }
    if (key === "spend" || key === "CPO" || key === "ROAS") {
      const lines = ledger.spend.map(([date, spend]) => [date, amount(spend)]);
      if (ledger.more) lines.push(["all others: daily.csv", ""]);
      body.append(listing("Spend by date" + (ledger.more ? ", the largest" : ""), [["Date", ""], ["Spend", "n"]], lines,
        ["Sum", amount(cell("spend"))]));
    }
    dialog.showModal();
    dialog.scrollTop = 0;
  };
  all("button.figure", table).forEach((button) => button.addEventListener("click", () => show(button)));
  by("ledger-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

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
