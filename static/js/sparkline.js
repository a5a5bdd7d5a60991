// A line of the day without axes, drawn by uPlot in the ink of its place.

export class Sparkline {
  constructor(place) {
    this.place = place;
    this.shown = "";
  }

  /** Shares from 0 to 1, oldest first; null leaves a gap. */
  show(values) {
    const key = values.join();
    if (key === this.shown || values.filter((value) => value !== null).length < 2 || !window.uPlot) return this.redraw();
    this.shown = key;
    const data = [values.map((_, index) => index), values];
    if (this.chart) this.chart.setData(data);
    else this.chart = new window.uPlot(this.options(), data, this.place);
    this.place.setAttribute("aria-label", `Service level of the day, last ${Math.round((values.at(-1) ?? 0) * 100)} %`);
  }

  options() {
    const ink = () => getComputedStyle(this.place).color;
    return {
      width: this.place.clientWidth || 160, height: 46, padding: [4, 2, 4, 2],
      cursor: { show: false }, legend: { show: false }, axes: [{ show: false }, { show: false }],
      scales: { x: { time: false }, y: { range: (_, low, high) => [Math.min(low, 0.5), Math.max(high, 1)] } },
      series: [{}, { stroke: ink, width: 2, points: { show: false }, spanGaps: true }],
    };
  }

  redraw() {
    this.chart?.redraw();
  }
}
