/** What both charts draw. */
export interface Data {
  days: string[];
  series: number[][];
}

export const HEIGHT = 208;
