// Numbers and times as people read them.

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, "0")}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

export function short(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 86400) return `${Math.floor(s / 3600)}h`;
  return `${Math.floor(s / 86400)}d`;
}

export function count(number) {
  if (number < 1000) return String(number);
  if (number < 10000) return `${(number / 1000).toFixed(1)}k`;
  if (number < 1e6) return `${Math.round(number / 1000)}k`;
  return `${(number / 1e6).toFixed(1)}M`;
}

export function cost(microUSD) {
  if (!microUSD) return "";
  const usd = microUSD / 1e6;
  return usd < 0.01 ? "<$0.01" : `$${usd.toFixed(2)}`;
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = number;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
/** Order of texts that are compared byte by byte, such as times: many times as quick as by the rules of a language. */
export const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
export const clock = (iso) => (iso ? TIME.format(new Date(iso)) : "");
export const moment = (iso) => (iso ? MOMENT.format(new Date(iso)) : "");
export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
export const title = (name) => name.charAt(0).toUpperCase() + name.slice(1);
