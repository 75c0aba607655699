// Looks at what was really drawn on a canvas.

/** How many different colours a canvas shows: a blank one shows one. */
export function colours(canvas) {
  return canvas.evaluate((element) => {
    if (element.width === 0) return 0;
    const { data } = element.getContext("2d").getImageData(0, 0, element.width, element.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
}

/** Places in CSS pixels where the plot shows the colour of a variable of the style sheet, topmost first. */
export function places(canvas, variable) {
  return canvas.evaluate((element, name) => {
    // Not laid out yet.
    if (element.width === 0) return [];
    const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const wanted = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const { data } = element.getContext("2d").getImageData(0, 0, element.width, element.height);
    const density = element.width / element.clientWidth;
    const found = [];
    for (let at = 0; at < data.length; at += 4) {
      const near = wanted.every((value, channel) => Math.abs(data[at + channel] - value) < 12);
      if (!near || data[at + 3] < 80) continue;
      const [x, y] = [((at / 4) % element.width) / density, Math.floor(at / 4 / element.width) / density];
      if (!found.some((other) => Math.hypot(other.x - x, other.y - y) < 9)) found.push({ x, y });
    }
    return found;
  }, variable);
}
