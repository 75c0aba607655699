const SHAPES = {
  pulse: "M1.5 9h3l2-5 3 9 2-5.5h3",
  list: "M2 4h12M2 8h12M2 12h8",
  lines: "M2 3.5h2M6 3.5h8M2 7h2M6 7h5M2 10.5h2M6 10.5h8M2 14h2M6 14h4",
  fork: "M4 2.5v11M4 9c0-3 8-1.5 8-6.5",
  people: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-5 9-5 9 0M11 3a2.3 2.3 0 0 1 0 4.4M12.5 9.5c1.4.6 2.1 2 2.1 4",
  question: "M2 3h12v8H8l-3.5 3v-3H2zM6.5 5.8c.3-1.6 3-1.4 3 .1 0 1-1.5 1-1.5 2.1",
  alert: "M8 2l6.5 11.5h-13zM8 6.5v3.2M8 11.4v.6",
  bell: "M4 11V7.5a4 4 0 0 1 8 0V11l1.2 1.5H2.8zM6.8 14.3h2.4",
  chart: "M2 2v12h12M4.5 10.5l3-4 2.5 2 3.5-5",
  bolt: "M9 1.5L3.5 9H8l-1 5.5L12.5 7H8z",
  gauge: "M2 12a6.2 6.2 0 1 1 12 0M8 11l3-4.5",
  key: "M10.5 2a3.5 3.5 0 1 1-2.6 5.9L3 12.8V14h2v-1.5h1.5V11H8M11 5h.1",
  act: "M2.5 8.5l3.5 3.5 7.5-8",
  database: "M3 4c0-2.7 10-2.7 10 0v8c0 2.7-10 2.7-10 0zM3 4c0 2.7 10 2.7 10 0M3 8c0 2.7 10 2.7 10 0",
  cross: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
  map: "M1.5 6h4v4h-4zM10.5 2h4v4h-4zM10.5 10h4v4h-4zM5.5 8h2.5V4h2.5M8 8v4h2.5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.5V8l2.5 1.5",
  sliders: "M2 4.5h5M11 4.5h3M9 2.5v4M2 11.5h2M8 11.5h6M6 9.5v4",
  layers: "M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3",
  menu: "M2 4h12M2 8h12M2 12h12",
  right: "M6 4l4 4-4 4",
  down: "M4 6l4 4 4-4",
  page: "M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3M5.5 8h5M5.5 11h5",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}
