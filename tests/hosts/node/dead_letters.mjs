// Stores the messages of the dead-letter queue and returns them.
const letters = [];

export default {
  async queue(batch) {
    letters.push(...batch.messages.map(({ body, attempts }) => ({ body, attempts })));
  },
  async fetch() {
    return Response.json(letters);
  },
};
