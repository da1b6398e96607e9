// The usual way to list with Nest and TypeORM: a controller that maps what `repository.find` returns.
import 'reflect-metadata';
import { Controller, Get, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DataSource } from 'typeorm';
import entities from '../../../dist/libs/events/src/event.entity.js';
import { ADDRESS, announce } from './listen.mjs';

const { SystemEvent } = entities;
const REPOSITORY = Symbol('REPOSITORY');

class ListController {
  constructor(events) {
    this.events = events;
  }

  async list() {
    const events = await this.events.find({ order: { timestamp: 'DESC', id: 'DESC' }, take: 100 });
    return events.map((event) => ({
      id: Number(event.id),
      event_type: event.eventType,
      severity: event.severity,
      message: event.message,
      details: event.details,
      source: event.source,
      timestamp: event.timestamp,
      created_at: event.createdAt,
      updated_at: event.updatedAt,
    }));
  }
}

class ListModule {}

const dataSource = new DataSource({
  type: 'postgres',
  url: process.env.DATABASE_URL,
  entities: [SystemEvent],
  poolSize: 10,
});
await dataSource.initialize();

// What the compiler makes of decorators, which JavaScript does not have.
Get()(ListController.prototype, 'list', Object.getOwnPropertyDescriptor(ListController.prototype, 'list'));
Controller('api/events')(ListController);
Inject(REPOSITORY)(ListController, undefined, 0);
Module({
  controllers: [ListController],
  providers: [{ provide: REPOSITORY, useValue: dataSource.getRepository(SystemEvent) }],
})(ListModule);

const app = await NestFactory.create(ListModule, new FastifyAdapter(), { logger: false });
await app.listen(ADDRESS.port, ADDRESS.host);
announce(app.getHttpServer());
