// Where rows come from: the page itself when it holds them, else the server that it came from.

export async function openSource() {
  const inside = document.getElementById("data");
  return inside ? new PageSource(JSON.parse(inside.textContent)) : new ServerSource(await ask("api/index"));
}

class PageSource {
  constructor(data) {
    this.index = data.index;
    this.rows = data.rows;
  }

  async row(number) {
    return this.rows[number];
  }

  async having(text) {
    this.lower ??= this.rows.map((row) => row.text.toLowerCase());
    const wanted = text.toLowerCase();
    return new Set(this.rows.filter((row, place) => this.lower[place].includes(wanted)).map((row) => row.number));
  }
}

class ServerSource {
  constructor(index) {
    this.index = index;
    this.kept = new Map();
  }

  async row(number) {
    if (!this.kept.has(number)) {
      if (this.kept.size > 50) this.kept.delete(this.kept.keys().next().value);
      this.kept.set(number, await ask(`api/row/${number}`));
    }
    return this.kept.get(number);
  }

  async having(text) {
    return new Set(await ask(`api/search?q=${encodeURIComponent(text)}`));
  }
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
