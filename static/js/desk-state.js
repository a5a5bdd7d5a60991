// The desk as a value: a snapshot, and what each frame makes of it. Pure, so that it can be checked without a page.

import { idOf } from "./marks.js";

const EMPTY = { seq: 0, presence: {}, capacity: {}, offers: [], assignments: [], queues: [], counts: {}, hand: null };

export const offerId = (entry) => entry.offer?.id ?? entry.id;
const withoutOffer = (state, id) => state.offers.filter((entry) => offerId(entry) !== id);
const withoutAssignment = (state, id) => state.assignments.filter((assignment) => assignment.id !== id);

const CHANGES = {
  "offer.made": (state, data) => ({ offers: [...withoutOffer(state, data.offer.id), ...(data.offer.over ? [] : [data])] }),
  "offer.withdrawn": (state, data) => ({ offers: withoutOffer(state, idOf(data.offer)) }),
  "offer.expired": (state, data) => ({ offers: withoutOffer(state, idOf(data.offer)) }),
  "assignment.started": (state, data) => ({ offers: withoutOffer(state, idOf(data.assignment)) }),
  "assignment.ended": (state, data) => ({
    offers: withoutOffer(state, idOf(data.assignment)),
    assignments: withoutAssignment(state, idOf(data.assignment)),
  }),
  "message.received": (state, data) => ({
    assignments: state.assignments.map((assignment) =>
      idOf(assignment.interaction) === idOf(data.interaction) ? { ...assignment, unread: true } : assignment,
    ),
  }),
  "presence.changed": (state, data) => ({ presence: { ...state.presence, ...data } }),
};

/** A snapshot replaces everything; a frame that the state already contains changes nothing. */
export function applied(state, frame) {
  if (frame.type === "snapshot") return { ...EMPTY, ...frame.data, seq: frame.seq ?? frame.data.seq ?? 0 };
  if (frame.seq <= state.seq) return state;
  const change = CHANGES[frame.type]?.(state, frame.data ?? {}) ?? {};
  return { ...state, ...change, seq: frame.seq };
}

/** What the frame tells only by id and must be read again. */
export const needsReading = (type) => /^(offer|assignment|message|presence)\./.test(type);

export function nextDueFirst(assignments) {
  const due = (assignment) => Date.parse(assignment.due_at ?? "") || Infinity;
  return [...assignments].sort((one, other) => due(one) - due(other) || one.id - other.id);
}
