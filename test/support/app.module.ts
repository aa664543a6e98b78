import { type ArgumentsHost, BadRequestException, type CallHandler, Catch, Controller, type ExceptionFilter, type ExecutionContext, Get, Injectable, Module, type NestInterceptor, NotFoundException, UseFilters, UseGuards, UseInterceptors } from '@nestjs/common'
import { RouteConfig } from '@nestjs/platform-fastify'
import type { FastifyReply } from 'fastify'

/* A module of Nest with each way to answer. Nest's packages cannot be loaded beside tap's loader of TypeScript: test/support/nest.ts makes JavaScript of this. */

@Injectable()
class Closed {
  canActivate (): boolean { return false }
}

@Injectable()
class Passing implements NestInterceptor {
  intercept (_context: ExecutionContext, next: CallHandler) { return next.handle() }
}

@Catch(RangeError)
class Teapot implements ExceptionFilter {
  catch (_error: unknown, host: ArgumentsHost): void { host.switchToHttp().getResponse<FastifyReply>().code(418).send('teapot') }
}

@Controller('dogs')
class Dogs {
  @Get(':id')
  one () { return { name: 'Rex' } }

  @Get(':id/closed')
  @UseGuards(Closed)
  closed () { return 'never' }

  @Get(':id/walked')
  @UseInterceptors(Passing)
  walked () { return 'walked' }

  @Get(':id/lost')
  lost () { throw new NotFoundException() }

  @Get(':id/teapot')
  @UseFilters(Teapot)
  teapot () { throw new RangeError('short and stout') }

  @Get(':id/broken')
  broken () { throw new TypeError('broken') }

  @Get(':id/named')
  @RouteConfig({ metrics: { route: 'named' } })
  named () { throw new BadRequestException() }

  @Get(':id/quiet')
  @RouteConfig({ metrics: false })
  quiet () { return 'quiet' }
}

@Module({ controllers: [Dogs] })
export class AppModule {}
