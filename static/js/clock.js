// The server's time as far as we know it, and one heartbeat for all that ticks.

export const clock = {
  skew: 0,
  now: () => Date.now() + clock.skew,
  /** Believe the server where the two clocks differ by more than the way of a frame. */
  heard(at) {
    const difference = Date.parse(at) - Date.now();
    if (Number.isFinite(difference)) clock.skew = Math.abs(difference) > 2000 ? difference : 0;
  },
};

const listeners = new Set();
setInterval(() => listeners.forEach((listener) => listener()), 1000);

export function everySecond(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function minutesAndSeconds(milliseconds) {
  const all = Math.max(0, Math.floor(milliseconds / 1000));
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor((all % 3600) / 60);
  const seconds = String(all % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}
