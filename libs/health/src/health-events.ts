import { Inject, Injectable } from '@nestjs/common';
import { EventRecorder, type OwnEvent } from '@app/events';
import { CONFIG, type Config } from '@app/platform';

/** The two kinds of check that leave events. */
export type CheckKind = 'health_check' | 'db_health_check';
export type Health = 'healthy' | 'degraded' | 'unhealthy';

const SEVERITY: Record<Health, OwnEvent['severity']> = { healthy: 'info', degraded: 'warning', unhealthy: 'error' };

/** Records the outcome of checks as events: each change of it, and otherwise one per kind and interval. */
@Injectable()
export class HealthEvents {
  private readonly last = new Map<CheckKind, { health: Health; at: number }>();

  constructor(
    private readonly recorder: EventRecorder,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Takes note of a check that looks at no dependency: it leaves what is known of their health as it is. */
  observeAnswer(kind: CheckKind, details: Record<string, unknown>): void {
    this.observe(kind, this.last.get(kind)?.health ?? 'healthy', details);
  }

  /** Takes note of an outcome; never blocks. */
  observe(kind: CheckKind, health: Health, details: Record<string, unknown>): void {
    const now = performance.now();
    const last = this.last.get(kind);
    if (last?.health === health && now - last.at < this.config.healthEventIntervalMs) return;
    this.last.set(kind, { health, at: now });
    this.recorder.record({
      event_type: kind,
      severity: SEVERITY[health],
      message: `${this.config.serviceName} is ${health}`,
      details,
    });
  }
}
