/** The doors that there are, by kind: for what takes documents of any kind. Each comes in with its controller, so none is forgotten. */
import { Injectable } from '@nestjs/common';
import type { Kind } from '../model/kinds.js';
import type { Door } from './document-door.js';

@Injectable()
export class Doors {
  private readonly doors = new Map<Kind, Door>();

  add(door: Door): void {
    this.doors.set(door.kind, door);
  }

  /** That of `kind`, if there is such a kind. */
  get(kind: unknown): Door | undefined {
    return this.doors.get(kind as Kind);
  }

  get kinds(): Kind[] {
    return [...this.doors.keys()];
  }
}
