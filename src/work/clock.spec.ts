/** Deadlines by the time of day, on a clock that the test holds: it can be set, and the machine can sleep. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { wallClock, type Span } from './clock.js';

const NOW = Date.parse('2026-11-26T12:00:00.000Z');
const HOUR_MS = 3_600_000;
/** How late it may notice that the clock has been set. */
const LOOK_MS = 30_000;

const until = (to: number): Span => ({ from: -Infinity, to });

beforeEach(() => vi.useFakeTimers({ now: NOW }));
afterEach(() => vi.useRealTimers());

describe('a deadline by the time of day', () => {
  it.each([
    ['in a moment', 1],
    ['within one look', LOOK_MS - 1],
    ['in a day', 24 * HOUR_MS],
  ])('comes when it is time, and no earlier: %s', (_, wait) => {
    const work = vi.fn();
    wallClock.outside(until(NOW + wait), work);
    vi.advanceTimersByTime(wait - 1);
    expect(work).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(work).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(48 * HOUR_MS);
    expect(work).toHaveBeenCalledOnce();
  });

  it('that has passed comes at once, but not before the caller has what prevents it', () => {
    const work = vi.fn();
    wallClock.outside(until(NOW - HOUR_MS), work);
    expect(work).not.toHaveBeenCalled();
    vi.advanceTimersByTime(0);
    expect(work).toHaveBeenCalledOnce();
  });

  it('comes within half a minute when the clock was put forward, or the machine has slept', () => {
    const work = vi.fn();
    wallClock.outside(until(NOW + 10 * HOUR_MS), work);
    vi.advanceTimersByTime(1_000);
    vi.setSystemTime(NOW + 11 * HOUR_MS);
    vi.advanceTimersByTime(LOOK_MS);
    expect(work).toHaveBeenCalledOnce();
  });

  it('is waited for again when the clock was put back', () => {
    const work = vi.fn();
    wallClock.outside(until(NOW + 10_000), work);
    vi.advanceTimersByTime(9_000);
    vi.setSystemTime(NOW - HOUR_MS);
    vi.advanceTimersByTime(HOUR_MS);
    expect(work).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10_000);
    expect(work).toHaveBeenCalledOnce();
  });

  it('comes as well when the clock is put back to before the span began', () => {
    const work = vi.fn();
    wallClock.outside({ from: NOW, to: NOW + 10 * HOUR_MS }, work);
    vi.advanceTimersByTime(LOOK_MS);
    expect(work).not.toHaveBeenCalled();
    vi.setSystemTime(NOW - HOUR_MS);
    vi.advanceTimersByTime(LOOK_MS);
    expect(work).toHaveBeenCalledOnce();
  });

  it('is gone when it was called off, whenever that is', () => {
    const work = vi.fn();
    const callOff = [1, LOOK_MS, HOUR_MS].map((wait) => wallClock.outside(until(NOW + wait), work));
    callOff[0]?.();
    vi.advanceTimersByTime(LOOK_MS - 1);
    for (const off of callOff) off();
    vi.advanceTimersByTime(2 * HOUR_MS);
    expect(work).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
