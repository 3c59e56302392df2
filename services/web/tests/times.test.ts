import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clock, dayOf, inZone, lengthMs, moment, nanoseconds, rangeLabel, resolved, typed } from "../parts/pure/times";

const NOW = Date.parse("2026-11-30T12:00:00Z");

describe("ranges", () => {
  it("reads lengths", () => {
    expect(lengthMs("90m")).toBe(5_400_000);
    expect(lengthMs("3 hours")).toBe(10_800_000);
    expect(lengthMs("soon")).toBeUndefined();
    expect(lengthMs("0h")).toBeUndefined();
  });
  it("takes what somebody types", () => {
    expect(typed("3h", NOW, "UTC")).toEqual({ range: "3h" });
    expect(typed("last 2 days", NOW, "UTC")).toEqual({ range: "2d" });
    expect(typed("yesterday", NOW, "UTC")).toEqual({ from: "2026-11-29T00:00:00Z", to: "2026-11-30T00:00:00Z" });
    expect(typed("yesterday 14:00", NOW, "UTC")).toEqual({ from: "2026-11-29T13:30:00Z", to: "2026-11-29T14:30:00Z" });
    expect(typed("9:00 - 10:30", NOW, "UTC")).toEqual({ from: "2026-11-30T09:00:00Z", to: "2026-11-30T10:30:00Z" });
    expect(typed("2026-11-29 14:00 to 15:00", NOW, "Europe/Berlin")).toEqual({
      from: "2026-11-29T13:00:00Z",
      to: "2026-11-29T14:00:00Z",
    });
    expect(typed("10:00 - 9:00", NOW, "UTC")).toBeUndefined();
    expect(typed("whenever", NOW, "UTC")).toBeUndefined();
    expect(typed("", NOW, "UTC")).toBeUndefined();
  });
  it("always means a range that ends after its start", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (range, from, to) => {
        const { startMs, endMs } = resolved({ range, from, to }, NOW);
        expect(startMs).toBeLessThan(endMs);
      }),
    );
  });
  it("says a range in words", () => {
    expect(rangeLabel({}, "UTC")).toBe("Last hour");
    expect(rangeLabel({ range: "15m" }, "UTC")).toBe("Last 15 minutes");
    expect(rangeLabel({ from: "2026-11-29T14:00:00Z", to: "2026-11-29T15:30:00Z" }, "UTC")).toBe(
      "2026-11-29 14:00 – 15:30",
    );
  });
});

describe("moments", () => {
  it("keeps nanoseconds", () => {
    expect(moment("2026-11-29T14:03:05.123456789Z", "UTC", 9)).toEqual({
      day: "2026-11-29",
      time: "14:03:05.123456789",
    });
    expect(nanoseconds("2026-11-29T14:03:05.123456789Z")).toBe(1_795_960_985_123_456_789n);
  });
  it("brings a wall clock back, in any zone", () => {
    const zones = fc.constantFrom("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York");
    // Hours that clocks go through twice are left out: 12 o'clock is none of them.
    fc.assert(
      fc.property(zones, fc.integer({ min: 0, max: 20_000 }), (zone, days) => {
        const ms = days * 86_400_000 + 43_200_000;
        const day = dayOf(ms, zone);
        expect(clock(inZone(day, "12:00", zone), zone)).toBe(`${day} 12:00`);
      }),
    );
  });
});
