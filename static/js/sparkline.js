// A line of the day without axes, drawn by uPlot in the ink of its place; the target lies behind it, dashed.

const HEIGHT = 46;

export class Sparkline {
  constructor(place) {
    this.place = place;
    this.shown = "";
    new ResizeObserver(() => this.chart?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  }

  /** Shares from 0 to 1, oldest first; null leaves a gap. The line begins where the day began to have figures. */
  show(values, target) {
    const first = values.findIndex((value) => value !== null);
    const day = first < 0 ? [] : values.slice(first);
    const key = `${day.join()} ${target}`;
    if (key === this.shown || !day.length || !window.uPlot) return this.redraw();
    this.shown = key;
    if (day.length === 1) day.unshift(null); // a first point stands at the right end
    const data = [day.map((_, index) => index), day.map(() => target), day];
    if (this.chart) this.chart.setData(data);
    else this.chart = new window.uPlot(this.options(), data, this.place);
    this.place.setAttribute("aria-label", `Service level by half hour, last ${Math.round((day.at(-1) ?? 0) * 100)} %, target ${Math.round(target * 100)} %`);
  }

  options() {
    const ink = () => getComputedStyle(this.place).color;
    const faint = () => getComputedStyle(this.place).borderTopColor;
    const last = (chart) => [chart.data[2].length - 1];
    return {
      width: this.place.clientWidth || 160, height: HEIGHT, padding: [6, 6, 6, 2],
      cursor: { show: false }, legend: { show: false }, axes: [{ show: false }, { show: false }],
      scales: { x: { time: false }, y: { range: (_, low, high) => [Math.min(low, 0.5), Math.max(high, 1)] } },
      series: [{}, { stroke: faint, width: 1, dash: [3, 3], points: { show: false } }, { stroke: ink, width: 2, spanGaps: true, points: { show: true, size: 6, width: 0, fill: ink, filter: last } }],
    };
  }

  redraw() {
    this.chart?.redraw();
  }
}
