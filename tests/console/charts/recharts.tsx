// The same lines by React with Recharts, as its documentation draws them, without animation and dots.

import { createRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { CartesianGrid, Line, LineChart, Tooltip, XAxis, YAxis } from "recharts";
import { HEIGHT, type Data } from "./data";

Object.assign(window, {
  draw: (host: HTMLElement, { days, series }: Data) => {
    const points = days.map((day, at) => ({ day, ...Object.fromEntries(series.map((values, index) => [`line${index}`, values[at]])) }));
    const root = createRoot(host);
    flushSync(() => root.render(
      <LineChart width={host.clientWidth} height={HEIGHT} data={points}>
        <CartesianGrid vertical={false} />
        <XAxis dataKey="day" />
        <YAxis />
        <Tooltip />
        {series.map((_, index) => <Line key={index} dataKey={`line${index}`} dot={false} isAnimationActive={false} stroke={index % 2 ? "#c65a00" : "#2b62d9"} />)}
      </LineChart>,
    ));
    return () => root.unmount();
  },
});
