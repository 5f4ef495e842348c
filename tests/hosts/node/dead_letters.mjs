// Keeps what arrives in the dead letters, and shows it.
const letters = [];

export default {
  async queue(batch) {
    letters.push(...batch.messages.map(({ body, attempts }) => ({ body, attempts })));
  },
  async fetch() {
    return Response.json(letters);
  },
};
