// Two soft notes for an offer. Browsers allow them after the first click or key on the page.

const NOTES = [660, 880];

export function ring() {
  if (localStorage.getItem("sound") === "off" || !navigator.userActivation?.hasBeenActive) return;
  const audio = new AudioContext();
  NOTES.forEach((frequency, index) => {
    const at = audio.currentTime + index * 0.14;
    const tone = new OscillatorNode(audio, { frequency });
    const gain = new GainNode(audio, { gain: 0.06 });
    gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.25);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.26);
  });
  setTimeout(() => audio.close(), 800);
}
