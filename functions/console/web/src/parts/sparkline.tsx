/** A line of one measure by day, of fixed size. Days without a value are gaps. */
export function Sparkline({ values, width = 84, height = 20, tone = "" }: {
  values: (string | null | undefined)[];
  width?: number;
  height?: number;
  tone?: "spend" | "main" | "";
}) {
  const numbers = values.map((value) => (value === null || value === undefined ? undefined : Number(value)));
  const known = numbers.filter((value) => value !== undefined);
  if (known.length < 2) return <svg class="sparkline" width={width} height={height} aria-hidden="true" />;
  const [min, max] = [Math.min(...known), Math.max(...known)];
  const span = max - min || 1;
  const step = width / Math.max(1, numbers.length - 1);
  let path = "";
  let pen = "M";
  numbers.forEach((value, index) => {
    if (value === undefined) return void (pen = "M");
    path += `${pen}${(index * step).toFixed(1)} ${(height - 1 - ((value - min) / span) * (height - 2)).toFixed(1)}`;
    pen = "L";
  });
  return (
    <svg class={`sparkline ${tone}`} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
