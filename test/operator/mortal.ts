/** A process that dies at one of its effects on the outside, before or after it is performed. */
export interface Life {
  /** The same object, as long as this life lasts: each call of a method is one effect. */
  bind<T extends object>(object: T): T;
  /** The effects so far, by name. */
  effects: string[];
  isOver: boolean;
}

/** What a call of somebody dead comes to. */
class Died extends Error {
  override name = "Died";
}

export function mortalLife(diesAt: number, when: "before" | "after"): Life {
  const life: Life = {
    effects: [],
    isOver: false,
    bind: (object) =>
      new Proxy(object, {
        get(target, name, receiver) {
          const member: unknown = Reflect.get(target, name, receiver);
          if (typeof member !== "function") return member;
          return async (...args: unknown[]): Promise<unknown> => {
            if (life.isOver) throw new Died();
            life.effects.push(String(name));
            const isLast = life.effects.length === diesAt;
            if (isLast) life.isOver = true;
            if (isLast && when === "before") throw new Died();
            const answer: unknown = await member.apply(target, args);
            if (isLast) throw new Died();
            return answer;
          };
        },
      }),
  };
  return life;
}
